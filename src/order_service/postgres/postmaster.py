"""What postmaster.pid and the process list say of a server: whose it is, whether it is ready, whether it is stale."""

from __future__ import annotations

import os
import time
from pathlib import Path

from msgspec import Struct

from order_service.errors import DataFolderInUse
from order_service.postgres.layout import Layout, Pause

_STATUS_LINE = 7  # pg_ctl.c: LOCK_FILE_LINE_PM_STATUS - 1
_PROC = Path("/proc")
_POLL_S = 0.05


class Postmaster(Struct, frozen=True):
    pid: int
    status: str  # starting, ready, standby, stopping; empty while it writes the file

    @property
    def ready(self) -> bool:
        return self.status == "ready"


def read_postmaster(data: Path) -> Postmaster | None:
    """None if no server has the folder, or the file is being written or was torn."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        pid = abs(int(lines[0]))  # negative: a single-user run
    except (FileNotFoundError, ValueError, IndexError):
        return None
    return Postmaster(pid=pid, status=lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "")


def runs_on(postmaster: Postmaster, data: Path) -> bool:
    """Whether its pid is a PostgreSQL on this folder. Where the system does not tell more, whether the pid exists.

    After a kill -9 or a reboot the file stays, and any other process may have the pid by now; PostgreSQL itself looks
    only whether the pid exists.
    """
    try:
        os.kill(postmaster.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists
    if not (_PROC / "self" / "cwd").exists():
        return True
    process = _PROC / str(postmaster.pid)
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        return os.path.samestat((process / "cwd").stat(), data.stat())
    except PermissionError:
        return True  # in a container root may not see where another user's process is
    except (FileNotFoundError, ProcessLookupError):
        return False  # ended, or a zombie, which has no folder any more


def wait_for_predecessor(layout: Layout, *, give_up_at: float, pause: Pause) -> None:
    """Returns when no server has the data folder; DataFolderInUse if one does at `give_up_at` (monotonic seconds).

    A file whose pid is now somebody else is removed, since PostgreSQL would take that process for a server.
    """
    while postmaster := read_postmaster(layout.data):
        if not runs_on(postmaster, layout.data):
            if (_PROC / str(postmaster.pid)).exists():
                (layout.data / "postmaster.pid").unlink(missing_ok=True)
            return
        if time.monotonic() >= give_up_at:
            raise in_use(layout)
        pause(_POLL_S)


def in_use(layout: Layout) -> DataFolderInUse:
    postmaster = read_postmaster(layout.data)
    who = f"PostgreSQL with pid {postmaster.pid}" if postmaster else "processes of an earlier PostgreSQL"
    return DataFolderInUse(
        f"ORDERS_DATA_DIR {layout.data_dir} is in use by {who}, which does not end: "
        "stop it, or set ORDERS_DATA_DIR to another folder"
    )
