"""What an exchange of a given capacity really works off, measured with a plain client that never lets it idle."""

from __future__ import annotations

import asyncio
import socket
import time
from itertools import count
from pathlib import Path

import msgspec

from load.servers import START_S, ServerFailed, running_exchange

IN_FLIGHT = 500  # requests: as many as the adapter has at most
FIRST_SHARE = 0.2  # of the time, before it counts


async def measured_capacity(folder: Path, capacity: int, seconds: float) -> float:
    """Accepted orders a second, at a fresh exchange in `folder`. Raises ServerFailed."""
    return await asyncio.to_thread(_measured, folder, capacity, seconds)


def _measured(folder: Path, capacity: int, seconds: float) -> float:
    folder.mkdir()
    with running_exchange(folder, "--capacity", str(capacity)) as address:
        return _saturate(address, seconds)


def _saturate(path: Path, seconds: float) -> float:
    numbers = count(1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(START_S)
        link.connect(str(path))
        link.sendall(b"".join(_submit(next(numbers)) for _ in range(IN_FLIGHT)))
        began = time.perf_counter()
        counted_from = began + seconds * FIRST_SHARE
        answered, first, last = 0, 0.0, 0.0
        while (now := time.perf_counter()) < began + seconds:
            received = link.recv(65_536)
            if not received:
                raise ServerFailed("the exchange closed the connection")
            lines = received.count(b"\n")
            link.sendall(b"".join(_submit(next(numbers)) for _ in range(lines)))
            if now >= counted_from:
                first, last = first or now, time.perf_counter()
                answered += lines
    return answered / (last - first) if last > first else 0.0


def _submit(number: int) -> bytes:
    order = {"order_id": f"o{number}", "symbol": "EURUSD", "side": "buy", "type": "market", "quantity": 10}
    return msgspec.json.encode({"op": "submit", "id": number, "time_in_force": "gtc", **order}) + b"\n"
