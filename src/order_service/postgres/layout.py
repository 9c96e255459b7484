"""What lies where in the data folder, whose it is, and the lock and the password in it.

ORDERS_DATA_DIR/postgres/      ours; root's may be passed by the account of the database, a user's by no one else
    data/                      PostgreSQL's own, with postmaster.pid
    socket                     the socket's folder, or a link to it where the path here is too long for a socket
    password                   of the roles `orders` and `postgres`; for us alone (`orders_service`: see `service_url`)
    lock                       held by the process whose child the server is; its pid
    postgres.log, .log.1       what the server says, bounded
    binaries-0.6.0/            a copy, where the account of the database cannot read the installed ones
    initdb-.../                a new data folder in the making
"""

from __future__ import annotations

import fcntl
import hmac
import os
import pwd
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from order_service.child_processes import Account
from order_service.errors import DataFolderInUse, DataFolderUnusable

ROLE = "orders"  # owns the database; not a superuser, so that what it revokes from itself is refused
SERVICE_ROLE = "orders_service"  # of the running parts: it may append to the log and change nothing in it
DATABASE = "orders"
SUPERUSER = "postgres"
PORT = 5432  # only the name of the socket's file
_LOCK_POLL_S = 0.05
_OWNER = re.compile(f"//{ROLE}:([^@]*)@")

Pause = Callable[[float], None]  # sleeps for seconds, or raises if the start is to be given up


class Layout(Struct, frozen=True):
    data_dir: Path  # ORDERS_DATA_DIR, resolved

    @property
    def home(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def socket(self) -> Path:
        return self.home / "socket"

    @property
    def password_file(self) -> Path:
        return self.home / "password"

    @property
    def lock_file(self) -> Path:
        return self.home / "lock"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    def url(self) -> str:
        """For libpq, with the password: not for logs. OSError if there is no password or it may not be read."""
        host = quote(str(self.socket.resolve()))
        return f"postgresql://{ROLE}:{self.password_file.read_text().strip()}@/{DATABASE}?host={host}&port={PORT}"


def service_url(owner_url: str) -> str:
    """The same server and database for the running parts; for URLs of `Layout.url` only. That of the parts stays."""
    return _OWNER.sub(lambda owner: f"//{SERVICE_ROLE}:{service_password(owner[1])}@", owner_url, count=1)


def service_password(owner_password: str) -> str:
    """From the owner's password to that of the running parts, and by nothing that is known back again: who learns a URL
    of the parts is not the owner by that."""
    return hmac.digest(owner_password.encode(), SERVICE_ROLE.encode(), "sha256").hex()


def layout_of(data_dir: Path) -> Layout:
    return Layout(data_dir=data_dir.resolve())


@contextmanager
def naming_the_folder(data_dir: Path) -> Iterator[None]:
    """Turns what the file system refuses into one line that names the setting."""
    try:
        yield
    except OSError as error:
        what = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        raise DataFolderUnusable(f"ORDERS_DATA_DIR {data_dir} cannot be used: {what}") from error


def prepare_home(layout: Layout, account: Account | None) -> None:
    """Makes what is missing. No folder that was there before, and is not ours alone, gets another mode."""
    mode = 0o711 if account else 0o700
    if not layout.data_dir.exists():
        layout.data_dir.mkdir(parents=True)
        layout.data_dir.chmod(mode)
    layout.home.mkdir(exist_ok=True)
    _expect_owner(layout.home, os.geteuid())
    layout.home.chmod(mode)
    if layout.data.exists():
        _expect_owner(layout.data, account.uid if account else os.geteuid())


def _expect_owner(folder: Path, uid: int) -> None:
    owner = folder.stat().st_uid
    if owner != uid:
        raise DataFolderUnusable(
            f"{folder} belongs to {_name_of(owner)}, not to {_name_of(uid)}: start as the user who made it, "
            "or set ORDERS_DATA_DIR to another folder"
        )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def lock_home(layout: Layout, *, wait_s: float, pause: Pause) -> int:
    """The lock's descriptor: it is held until that is closed or this process ends, however it ends.

    DataFolderInUse if another process holds it for longer than `wait_s`.
    """
    give_up_at = time.monotonic() + wait_s
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() >= give_up_at:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise DataFolderInUse(
                    f"ORDERS_DATA_DIR {layout.data_dir} is in use by another running service (pid {holder}): "
                    "stop that one, or set ORDERS_DATA_DIR to another folder"
                )
            pause(_LOCK_POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_password(layout: Layout, password: str) -> None:
    """Whole and durable, or not there."""
    draft = layout.password_file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{password}\n")
        file.flush()
        os.fsync(descriptor)
    draft.rename(layout.password_file)
    sync_folder(layout.home)


def sync_folder(folder: Path) -> None:
    """Makes names that were made or renamed in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
