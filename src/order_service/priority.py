"""A lower priority for work that can wait, so that the service's own goes first on the same cores."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

from order_service.bounds import BACKGROUND_NICENESS


def lower_priority(backend_pid: int = 0, *, of_server: str = "") -> None:
    """Of this process; or of a PostgreSQL process of ours, where `of_server` is a URL to a server on this machine.

    Where it may not be lowered it stays as it is: the work's own pauses leave room all the same.
    """
    if backend_pid and not _is_local_backend(backend_pid, of_server):
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, backend_pid, BACKGROUND_NICENESS)


def _is_local_backend(pid: int, url: str) -> bool:
    """A socket in a folder is on this machine; the number could still be that of another container's process."""
    from psycopg.conninfo import conninfo_to_dict

    host = str(conninfo_to_dict(url).get("host") or "/")
    with suppress(psutil.Error):
        return host.startswith("/") and psutil.Process(pid).name().startswith("postgres")
    return False
