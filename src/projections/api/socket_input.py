"""What clients of /ws may send in all, of messages that are not whole too.

The server hands over whole messages only, and keeps up to 64 MiB of one in pieces; it has no setting for that. The
kernel knows how many bytes each connection has brought (`tcpi_bytes_received`, tcp(7); Linux only). The feed takes no
messages, so that a client past the bound is not one of ours. A connection may have carried requests before.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from projections.api.own_sockets import cut_peer
from projections.bounds import MAX_CLIENT_INPUT_BYTES

Peer = tuple[str, int]

_BYTES_RECEIVED = 128  # its place in struct tcp_info of linux/tcp.h, since Linux 4.1
_UNSIGNED_64 = struct.Struct("@Q")


class WatchedInput:
    """For one event loop. While sockets are open, it is looked every `look_s` what they have sent, in another thread;
    who has sent too much is cut."""

    def __init__(self, look_s: float, cut: Callable[[Peer], None] = cut_peer) -> None:
        self._look_s = look_s
        self._cut = cut
        self._before: dict[Peer, int] = {}  # bytes that the connection had brought when it became a socket
        self._looking: asyncio.Task[None] | None = None
        self._next: asyncio.Task[Mapping[Peer, int]] | None = None
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def of(self, peer: tuple[str, int | str] | None) -> AsyncIterator[None]:
        """While it is open; None is no peer of TCP. To be entered before the socket is accepted, since until then a
        client of ours sends nothing as one: what came up to then does not count."""
        if peer is None or sys.platform != "linux":
            yield
            return
        own = (peer[0], int(peer[1] or 0))
        self._before[own] = (await self._received()).get(own, 0)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._before.pop(own, None)

    async def _look(self) -> None:
        while self._before:
            await asyncio.sleep(self._look_s)
            received = await self._received()
            for peer, before in self._before.items():
                if received.get(peer, 0) - before > MAX_CLIENT_INPUT_BYTES:
                    self._cut(peer)

    async def _received(self) -> Mapping[Peer, int]:
        """By a look that begins from now on. One runs at a time, and the next is for all who wait by then."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._look_next())
        return await asyncio.shield(self._next)

    async def _look_next(self) -> Mapping[Peer, int]:
        async with self._one_at_a_time:
            self._next = None
            return await asyncio.get_running_loop().run_in_executor(None, received_of_peers)


def received_of_peers() -> dict[Peer, int]:
    """The bytes that each peer of this process has sent; of none where its open files cannot be listed."""
    received: dict[Peer, int] = {}
    with suppress(OSError):
        for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
            with suppress(OSError):
                peer, size_bytes = _received(number)
                received[peer] = size_bytes
    return received


def _received(number: int) -> tuple[Peer, int]:
    """Raises OSError for a descriptor of something else than a connection of TCP."""
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=number)
    try:
        told = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + _UNSIGNED_64.size)
        peer = own.getpeername()
    finally:
        own.detach()  # it is the server's
    size_bytes = int(_UNSIGNED_64.unpack_from(told, _BYTES_RECEIVED)[0]) if len(told) > _BYTES_RECEIVED else 0
    return (peer[0], peer[1]), size_bytes
