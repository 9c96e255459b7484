"""The control socket: a line of JSON in, a line out. It stays while the exchange is down, for it ends the outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from simulated_exchange.bounds import MAX_CONTROL_BYTES, MAX_CONTROL_CONNECTIONS, MAX_UNIX_PATH_BYTES
from simulated_exchange.config import UnixAddress
from simulated_exchange.control_words import CONTROL_OPERATIONS, ControlRequest
from simulated_exchange.controls import Controls
from simulated_exchange.frames import UNREADABLE, unreadable
from simulated_exchange.listener import forget, inode_of, listen
from simulated_exchange.protocol import AnyAnswer, encode_answer

CONTROL_NAME = "control"

logger = logging.getLogger("simulated_exchange")
_decoder = msgspec.json.Decoder(ControlRequest)


@asynccontextmanager
async def control_endpoint(data_dir: Path, controls: Controls) -> AsyncIterator[None]:
    """Open while the block runs. Where the folder's path is too long for a socket: a warning, and no endpoint."""
    address = UnixAddress(data_dir.absolute() / CONTROL_NAME)
    if len(str(address).encode()) > MAX_UNIX_PATH_BYTES:
        logger.warning("faults cannot be set: the path %s is too long for a socket", address)
        yield
        return
    listening = listen(address)
    inode = inode_of(address)
    connections: set[ControlConnection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: ControlConnection(controls, connections), sock=listening
    )
    try:
        yield
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        forget(inode, address)


class ControlConnection(asyncio.Protocol):
    def __init__(self, controls: Controls, connections: set[ControlConnection]) -> None:
        self._controls = controls
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        if len(self._connections) > MAX_CONTROL_CONNECTIONS:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        for line in lines:
            self._take(bytes(line))
        if len(rest) > MAX_CONTROL_BYTES:
            self.close()

    def pause_writing(self) -> None:
        """Whoever asks and does not read is no person."""
        self.close()

    def _take(self, line: bytes) -> None:
        try:
            request = _decoder.decode(line)
        except UNREADABLE as error:
            self._answer(*unreadable(line, str(error), CONTROL_OPERATIONS))
            return
        self._controls.take(request, partial(self._answer, request.id))

    def _answer(self, key: int | str | None, answer: AnyAnswer) -> None:
        if self._transport is not None:
            self._transport.write(encode_answer(key, answer))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
