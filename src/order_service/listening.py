"""Whether the address is free for us to listen on, and who has it if not."""

from __future__ import annotations

import errno
import socket
import time

from order_service.bounds import DYING_LISTENER_S
from order_service.errors import AddressInUse
from order_service.settings import Address

_POLL_S = 0.1


def require_free(address: Address) -> None:
    """Raises AddressInUse, which names the process that listens there, if it can be seen.

    One of ours that lost its supervisor is about to end: its port is waited for, up to a bound.
    """
    deadline = time.monotonic() + DYING_LISTENER_S
    while (taken := _taken(address)) is not None:
        holder = _holder(address.port)
        if holder is None or not holder.orphaned or time.monotonic() > deadline:
            raise AddressInUse(_sentence(address, taken, holder))
        time.sleep(_POLL_S)


class _Holder:
    def __init__(self, pid: int, command: str, orphaned: bool) -> None:
        self.pid, self.command, self.orphaned = pid, command, orphaned


def _sentence(address: Address, taken: str, holder: _Holder | None) -> str:
    if taken:
        return f"BASE_URL or LISTEN: cannot listen on {address}: {taken}"
    who = f' (pid {holder.pid}, "{holder.command}")' if holder else ""
    return f"port {address.port} is in use{who}. Stop it, or set BASE_URL to another port"


def _taken(address: Address) -> str | None:
    """None where the address is free, "" where somebody listens, else why we cannot."""
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        return str(error)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
            probe.listen(1)
        except OSError as error:
            return "" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
    return None


def _holder(port: int) -> _Holder | None:
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
                ours = "orders" in command or "order_service" in command or "granian" in command
                return _Holder(process.pid, command[:80], orphaned=ours and process.ppid() == 1)
            except psutil.Error:
                return None
    return None
