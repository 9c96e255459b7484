"""Whom PostgreSQL runs as: it refuses root, so root's server runs as `nobody`; no account is made."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from order_service.child_processes import Account
from order_service.errors import DataFolderUnusable

_UNPRIVILEGED = "nobody"


def database_account() -> Account | None:
    """None: as whoever we are. DataFolderUnusable if we are root and there is nobody to run as."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise DataFolderUnusable(
            f"as root PostgreSQL runs as the account `{_UNPRIVILEGED}`, which is not on this machine: "
            "start as another user, or set DATABASE_URL to a server of your own"
        ) from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def can_read(account: Account, path: Path) -> bool:
    """Whether `account` reaches `path` and may read it (and run it, if its owner may), by the mode bits on the way.

    Access control lists are not looked at; a wrong answer costs a copy, or shows as an error of PostgreSQL's own.
    """
    try:
        status = path.stat()
    except OSError:
        return False
    wanted = stat.S_IROTH | (stat.S_IXOTH if status.st_mode & stat.S_IXUSR else 0)
    return can_pass(account, path.resolve().parent) and _allows(account, status, wanted)


def can_pass(account: Account, folder: Path) -> bool:
    """Whether `account` may pass `folder` and every folder above it, by their mode bits."""
    resolved = folder.resolve()
    return all(_allows(account, each.stat(), stat.S_IXOTH) for each in (resolved, *resolved.parents))


def _allows(account: Account, status: os.stat_result, wanted: int) -> bool:
    """`wanted` as bits for others; the account is judged as owner, by its one group, or as one of the others."""
    if status.st_uid == account.uid:
        wanted <<= 6
    elif status.st_gid == account.gid:
        wanted <<= 3
    return status.st_mode & wanted == wanted
