"""This process's own TCP connections, for what the server has no word: it hands out no sockets.

They are found among the open files, so both functions are for rare moments. Neither closes what is the server's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def bound_send_buffers(size_bytes: int) -> bool:
    """Bounds what the kernel keeps for each connection that is accepted from now on; else it grows to megabytes before
    a client that does not read can be told from one that does. False where this process does not listen (yet)."""
    found = False
    for own in _tcp_sockets():
        with suppress(OSError):
            if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)
                found = True
    return found


def cut_peer(peer: tuple[str, int | str] | None) -> bool:
    """Ends the connection with a peer (host and port, as ASGI names it; the server gives the port as a text), whatever
    still waits to be sent on it. Whether there was one; None is no peer of TCP."""
    if peer is None:
        return False
    host, port = peer[0], int(peer[1] or 0)
    for own in _tcp_sockets():
        with suppress(OSError):
            if own.getpeername()[:2] == (host, port):
                own.shutdown(socket.SHUT_RDWR)
                return True
    return False


def _tcp_sockets() -> Iterator[socket.socket]:
    for path in list(Path("/dev/fd").iterdir()):
        with suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as own:
            if own.family in (socket.AF_INET, socket.AF_INET6) and own.type == socket.SOCK_STREAM:
                yield own
