"""Whether the address is free for us to listen on, and who has it if not."""

from __future__ import annotations

import errno
import socket
import time

from msgspec import Struct

from order_service.bounds import DYING_LISTENER_S
from order_service.configuration.settings import Address
from order_service.errors import AddressInUse

_POLL_S = 0.1


def require_free(address: Address) -> None:
    """Raises AddressInUse, which names the process that listens there, if it can be seen.

    One of ours that lost its supervisor is about to end: its port is waited for, up to a bound.
    """
    deadline = time.monotonic() + DYING_LISTENER_S
    while (taken := why_taken(address)) is not None:
        holder = holder_of(address.port)
        if holder is None or not holder.orphaned or time.monotonic() > deadline:
            raise AddressInUse(_sentence(address, taken, holder))
        time.sleep(_POLL_S)


class Holder(Struct, frozen=True):
    """The process that listens; `ours` is a process of an order service, which is `orphaned` without its supervisor."""

    pid: int
    command: str
    ours: bool
    orphaned: bool


def _sentence(address: Address, taken: str, holder: Holder | None) -> str:
    if taken:
        return f"BASE_URL or LISTEN: cannot listen on {address}: {taken}"
    who = f' (pid {holder.pid}, "{holder.command}")' if holder else ""
    return f"port {address.port} is in use{who}. Stop it, or set BASE_URL to another port"


def ip_address_of(address: Address) -> str:
    """What its host is by now, localhost for example: the server takes no names. Raises socket.gaierror."""
    return str(socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][4][0])


def why_taken(address: Address) -> str | None:
    """None where the address is free, "" where somebody listens, else why we cannot. The look binds it and does not
    listen: whoever connected in that moment would be reset."""
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        return str(error)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            return "" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return None


def holder_of(port: int) -> Holder | None:
    """None where nobody listens, or it cannot be seen: other users' processes are hidden from all but root."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        local = connection.laddr
        if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
            try:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())
                part = "-m order_service" in command  # as the supervisor starts it
                ours = part or "/orders " in command
                orphaned = part and process.ppid() == 1
            except psutil.Error:
                return None
            return Holder(pid=process.pid, command=command[:80], ours=ours, orphaned=orphaned)
    return None
