"""This process's own TCP connections, for what the server has no word: it hands out no sockets.

They are found among the open files, 20 ms of work per thousand, so this is for rare moments. Nothing here closes what
is the server's.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISSOCK
from threading import Lock

from projections.bounds import GOODBYE_BUFFER_BYTES, GOODBYE_UNREAD_MS

log = logging.getLogger(__name__)

_Peer = tuple[str, int]
_Treatment = Callable[[socket.socket], None]


def bound_sending(size_bytes: int, unread_timeout_ms: int) -> bool:
    """Bounds what the kernel keeps for each connection that is accepted from now on, which else grows to megabytes
    before a client that does not read can be told from one that does; and how long such a client stays connected of
    whom nobody else takes leave: nothing was taken for so long (TCP_USER_TIMEOUT, tcp(7); Linux only). False where this
    process does not listen (yet)."""
    found = False
    for own in tcp_sockets():
        with suppress(OSError):
            if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)
                if sys.platform == "linux":
                    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_timeout_ms)
                found = True
    return found


def make_room(peer: tuple[str, int | str] | None) -> None:
    """Soon lets the kernel take what is being sent to a peer that does not read, and a little more. There it stands
    until the peer reads again, for a bounded time, whether the connection is cut meanwhile or not."""
    _look_for(peer, _widen)


def cut_peer(peer: tuple[str, int | str] | None) -> None:
    """Soon ends the connection with a peer, whatever the server still has to send on it; what the kernel has taken, it
    sends."""
    _look_for(peer, _cut)


def _look_for(peer: tuple[str, int | str] | None, treatment: _Treatment) -> None:
    """Host and port, as ASGI names a peer (the server gives the port as a text); None is no peer of TCP. For an event
    loop's thread, which it does not hold up: another one looks for all peers that are due at once."""
    if peer is not None and _looks.add((peer[0], int(peer[1] or 0)), treatment):
        asyncio.get_running_loop().run_in_executor(None, _looks.make)


def _widen(own: socket.socket) -> None:
    # The kernel wakes whoever waits for room (sk_write_space in Linux's sock_setsockopt).
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, GOODBYE_BUFFER_BYTES)
    if sys.platform == "linux":
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GOODBYE_UNREAD_MS)


def _cut(own: socket.socket) -> None:
    own.shutdown(socket.SHUT_RDWR)


class _Looks:
    """What is to be done with which peers' connections. One thread at a time looks for them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._due: dict[_Peer, _Treatment] = {}
        self.under_way = False

    def add(self, peer: _Peer, treatment: _Treatment) -> bool:
        """Whether the caller has to see to it that somebody looks."""
        with self._lock:
            self._due[peer] = treatment
            begins, self.under_way = not self.under_way, True
        return begins

    def make(self) -> None:
        while due := self._taken():
            try:
                for own in tcp_sockets():
                    with suppress(OSError):
                        if (treatment := due.get(own.getpeername()[:2])) is not None:
                            treatment(own)
            except OSError as error:
                log.warning("clients that do not read stay connected: %s", error)

    def _taken(self) -> dict[_Peer, _Treatment]:
        with self._lock:
            due, self._due = self._due, {}
            self.under_way = bool(due)
        return due


_looks = _Looks()


def tcp_sockets() -> Iterator[socket.socket]:
    """Each through a descriptor of our own, so that it stays the same file while it is looked at. Raises OSError."""
    for path in list(Path("/dev/fd").iterdir()):
        with suppress(OSError):
            number = int(path.name)
            if S_ISSOCK(os.fstat(number).st_mode):
                with _opened(os.dup(number)) as own:
                    if own.family in (socket.AF_INET, socket.AF_INET6) and own.type == socket.SOCK_STREAM:
                        yield own


def _opened(descriptor: int) -> socket.socket:
    """Of what may be another file by now: a socket that fails to be made of a descriptor leaves it open."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise
