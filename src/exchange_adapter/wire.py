"""The simulated exchange's lines, as its clients read and write them (docs/reference/simulated-exchange.md)."""

from __future__ import annotations

import socket
from typing import Any

import msgspec
from msgspec import Struct

from exchange_adapter.bounds import CONNECT_TIMEOUT_S


class WireExecution(Struct, frozen=True):
    exec_id: str
    quantity: int
    price: str


class Answer(Struct, frozen=True):
    """Any answer: `outcome`, or `error` (which means that the request changed nothing), and what came with it."""

    id: int | str | None = None
    outcome: str = ""
    error: str = ""
    message: str = ""
    reason: str | None = None
    venue_order_id: str | None = None
    first_outcome: str | None = None
    quantity: int | None = None
    limit_price: str | None = None
    # found
    state: str = ""
    filled: int = 0
    terms_id: str | None = None
    executions: tuple[WireExecution, ...] = ()
    # streaming
    journal: str | None = None
    last_seq: int | None = None


class ReportLine(Struct, frozen=True):
    kind: str
    seq: int
    order_id: str = ""
    venue_order_id: str | None = None
    exec_id: str | None = None
    ref_exec_id: str | None = None
    request_id: str | None = None
    quantity: int | None = None
    price: str | None = None
    limit_price: str | None = None
    leaves: int | None = None
    reason: str | None = None


_encoder = msgspec.json.Encoder()
answer_decoder = msgspec.json.Decoder(Answer)
report_decoder = msgspec.json.Decoder(ReportLine)


def line(message: dict[str, Any]) -> bytes:
    return _encoder.encode(message) + b"\n"


def connect(address: str) -> socket.socket:
    """A blocking socket to a Unix path or host:port. Raises OSError."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in address:
        connection = socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
    connection.settimeout(None)
    return connection


class Lines:
    """Whole lines out of what was received."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + received).split(b"\n")
        return whole

    @property
    def waiting(self) -> int:
        """Bytes of a line that has not ended yet."""
        return len(self._rest)
