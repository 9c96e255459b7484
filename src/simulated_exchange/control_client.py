"""Asks a running exchange on its control socket, for the command line."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from simulated_exchange.bounds import CONTROL_TIMEOUT_S
from simulated_exchange.control import CONTROL_NAME
from simulated_exchange.errors import ControlRefused, ControlUnreachable
from simulated_exchange.frames import UNREADABLE

Message = dict[str, Any]


def ask(data_dir: Path, op: str, **fields: Any) -> Message:
    """The answer without its id. Raises ControlUnreachable, or ControlRefused with what the exchange said."""
    path = data_dir / CONTROL_NAME
    request = {"op": op, "id": 1, **{name: value for name, value in fields.items() if value is not None}}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONTROL_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(request) + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
        answer = msgspec.json.decode(line, type=Message)
    except (OSError, *UNREADABLE) as error:
        raise ControlUnreachable(f"no simulated exchange answers at {path}: {error}") from error
    if "error" in answer:
        raise ControlRefused(answer["error"], answer["message"])
    del answer["id"]
    return answer
