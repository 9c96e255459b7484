"""The folder of the server's Unix socket: in the data folder, or where that path is too long in a private one."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from order_service.bounds import MAX_SOCKET_PATH_BYTES
from order_service.child_processes import Account
from order_service.errors import DataFolderUnusable
from order_service.postgres.account import can_pass
from order_service.postgres.layout import PORT, Layout

_PREFIX = "orders-"
_SOCKET = f".s.PGSQL.{PORT}"
_SEPARATORS = re.compile(r'[,"\n]')  # of folders in unix_socket_directories, of hosts in a URL


def prepare_socket_folder(layout: Layout, account: Account | None) -> Path:
    """A folder that only `account` (and root) may enter, without a socket; `layout.socket` is it or a link to it.

    No server may run. The sockets of an earlier one are removed, since their stale lock would stop a new one; but its
    folder is kept, since there may be clients which come back to it.
    """
    if not _is_usable(layout, account):
        remove_socket_folder(layout)
        _make(layout, account)
    folder = layout.socket.resolve()
    for name in (_SOCKET, f"{_SOCKET}.lock"):
        (folder / name).unlink(missing_ok=True)
    return folder


def remove_socket_folder(layout: Layout) -> None:
    """Does nothing if there is none. A private folder is removed only if it is one that we made."""
    if layout.socket.is_symlink():
        folder = layout.socket.readlink()
        layout.socket.unlink()
        if folder.name.startswith(_PREFIX) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
    elif layout.socket.exists():
        shutil.rmtree(layout.socket)


def _is_usable(layout: Layout, account: Account | None) -> bool:
    """Whether it is there, short enough and closed. In a folder for temporary files anyone may have made it since."""
    folder = layout.socket.readlink() if layout.socket.is_symlink() else layout.socket
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    owner = account.uid if account else os.geteuid()
    return status.st_mode == stat.S_IFDIR | 0o700 and status.st_uid == owner and _fits(folder)


def _make(layout: Layout, account: Account | None) -> None:
    if _fits(layout.socket):
        folder = layout.socket
        folder.mkdir()
    else:
        folder = _private_folder(account, layout)
        layout.socket.symlink_to(folder)
    folder.chmod(0o700)
    if account:
        os.chown(folder, account.uid, account.gid)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _SOCKET)) <= MAX_SOCKET_PATH_BYTES and not _SEPARATORS.search(str(folder))


def _private_folder(account: Account | None, layout: Layout) -> Path:
    """A name that no other user can guess and take before us."""
    for place in (Path(tempfile.gettempdir()), Path("/tmp")):
        reachable = place.is_dir() and (account is None or can_pass(account, place))
        if reachable and _fits(place / f"{_PREFIX}12345678"):
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    raise DataFolderUnusable(
        f"ORDERS_DATA_DIR {layout.data_dir} is too long for a socket, and the folder for temporary files is no "
        "way out: set one of them to a shorter path"
    )
