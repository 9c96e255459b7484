"""The listening socket: a Unix socket whose dead predecessor is replaced, or TCP."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from simulated_exchange.bounds import CONNECT_PROBE_S
from simulated_exchange.config import TcpAddress, UnixAddress
from simulated_exchange.errors import AddressInUse, AddressUnusable

_BACKLOG = 256


def listen(address: UnixAddress | TcpAddress) -> socket.socket:
    """A bound socket that listens. Raises AddressInUse or AddressUnusable."""
    try:
        return _listen_unix(address.path) if isinstance(address, UnixAddress) else _listen_tcp(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"EXCHANGE_ADDRESS {address} is in use: stop what listens there, or set another"
            ) from None
        raise AddressUnusable(f"EXCHANGE_ADDRESS {address} cannot be listened on: {error.strerror}") from error


def address_of(listening: socket.socket, asked: UnixAddress | TcpAddress) -> UnixAddress | TcpAddress:
    """Where it really listens: port 0 has become one."""
    if isinstance(asked, UnixAddress):
        return asked
    return TcpAddress(asked.host, listening.getsockname()[1])


def forget(listening_inode: int | None, address: UnixAddress | TcpAddress) -> None:
    """Removes the socket's file, if it is still ours."""
    if isinstance(address, UnixAddress) and listening_inode == inode_of(address):
        address.path.unlink(missing_ok=True)


def inode_of(address: UnixAddress | TcpAddress) -> int | None:
    try:
        return address.path.stat().st_ino if isinstance(address, UnixAddress) else None
    except FileNotFoundError:
        return None


def _listen_tcp(address: TcpAddress) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, target = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(target)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: Path) -> socket.socket:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # the socket is its owner's alone
    try:
        listening.bind(str(path))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    return listening


def _remove_stale(path: Path) -> None:
    """A socket that nobody accepts on is a dead exchange's. Anything else at the path is not ours to remove."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressUnusable(f"EXCHANGE_ADDRESS {path} exists and is no socket: move it away, or set another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except (TimeoutError, BlockingIOError):
            pass  # its queue is full: alive
    raise OSError(errno.EADDRINUSE, "in use")
