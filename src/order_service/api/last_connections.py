"""No connection is cut off while the API stops: the kernel's queue of new ones is emptied before the server closes it.

Who connects to a listening socket is connected as soon as the kernel has queued the connection, and may have sent its
request; what is still queued when the socket is closed is reset. A proxy cannot tell such a request from one that was
taken, so it must not send a POST of it elsewhere. A connection that is refused it may.

So the kernel is told to drop what would open a new connection, and the queue runs dry. The dropped packet is sent again
after a second (RFC 6298), when the socket is closed: the client is refused then, and a proxy goes to the next server.
Only Linux can do this; elsewhere the server closes its socket at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from order_service.bounds import LAST_CONNECTIONS_POLL_S, LAST_CONNECTIONS_S, QUIET_QUEUE_S
from projections.api.own_sockets import tcp_sockets

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python names it in no version that we support
_INSTRUCTIONS = (  # a classic BPF program (bpf(4)), over a packet that begins with its TCP header
    (0x30, 0, 0, 13),  # load the byte with the flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # else take it whole
)
_UNACCEPTED = struct.Struct("24xI")  # tcp_info.tcpi_unacked: of a listener, how many wait to be accepted


async def take_last_connections() -> None:
    """Returns when no new connection can come and the server has accepted all that were queued; after
    LAST_CONNECTIONS_S at the latest. For the event loop of the process that listens."""
    with _listeners() as listeners:
        if not sum(_drops_new_ones(listener) for listener in listeners):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_CONNECTIONS_S):
                await _quiet(listeners)


async def _quiet(listeners: Sequence[socket.socket]) -> None:
    """The queue has been empty for so long that handshakes under way have ended, too."""
    loop = asyncio.get_running_loop()
    empty_since = loop.time()
    while loop.time() - empty_since < QUIET_QUEUE_S:
        await asyncio.sleep(LAST_CONNECTIONS_POLL_S)
        if any(_unaccepted(listener) for listener in listeners):
            empty_since = loop.time()


def _drops_new_ones(listener: socket.socket) -> bool:
    """Whether it does from now on."""
    if sys.platform != "linux":
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _INSTRUCTIONS)
    buffer = ctypes.create_string_buffer(code, len(code))
    try:
        program = struct.pack("HP", len(_INSTRUCTIONS), ctypes.addressof(buffer))
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:  # a sandbox without such filters
        return False
    return True


def _unaccepted(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACCEPTED.size)
    count: int = _UNACCEPTED.unpack(info)[0]
    return count


@contextmanager
def _listeners() -> Iterator[list[socket.socket]]:
    """This process's, through descriptors of our own, which are closed at the end: a socket listens as long as one of
    its descriptors is open. `socket.dup` would make it block, for the server too, which would then wait in `accept`."""
    with ExitStack() as stack:
        found = []
        for own in tcp_sockets():
            if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.append(stack.enter_context(socket.socket(fileno=os.dup(own.fileno()))))
        yield found
