"""What clients of /ws may send in all, of messages that are not whole too.

The server hands over whole messages only, and keeps up to 64 MiB of one in pieces; it has no setting for that. The
kernel knows how many bytes each connection has brought (`tcpi_bytes_received`, tcp(7); Linux only). The feed takes no
messages, so that a client past the bound is not one of ours.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
        self._peers: set[Peer] = set()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, peer: tuple[str, int | str] | None) -> Iterator[None]:
        """While it is open; None is no peer of TCP."""
        if peer is None or sys.platform != "linux":
            yield
            return
        own = (peer[0], int(peer[1] or 0))
        self._peers.add(own)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())
        try:
            yield
        finally:
            self._peers.discard(own)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._peers:
            await asyncio.sleep(self._look_s)
            talkers = await loop.run_in_executor(None, lambda: set(peers_beyond(MAX_CLIENT_INPUT_BYTES)))
            for peer in self._peers & talkers:
                self._cut(peer)


def peers_beyond(most_bytes: int) -> Iterator[Peer]:
    """The peers of this process that have sent more. A thousand open files take 3 ms."""
    for number in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        with suppress(OSError):
            if _received(number) > most_bytes:
                with socket.socket(fileno=os.dup(number)) as copy:
                    yield copy.getpeername()[:2]


def _received(number: int) -> int:
    """Bytes. Raises OSError for a descriptor of something else."""
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=number)
    try:
        told = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + _UNSIGNED_64.size)
    finally:
        own.detach()  # it is the server's
    return int(_UNSIGNED_64.unpack_from(told, _BYTES_RECEIVED)[0]) if len(told) > _BYTES_RECEIVED else 0
