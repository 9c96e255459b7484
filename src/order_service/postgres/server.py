"""Starts and stops the server, and finds one that runs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.pq import PGconn, Ping

from order_service import bounds
from order_service.errors import PostgresNotStarted, StartAbandoned
from order_service.postgres.account import database_account
from order_service.postgres.cluster import ensure_cluster, service_role
from order_service.postgres.layout import (
    PORT,
    ROLE,
    SERVICE_ROLE,
    SUPERUSER,
    Pause,
    layout_of,
    lock_home,
    naming_the_folder,
    prepare_home,
    service_password,
    service_url,
)
from order_service.postgres.postmaster import in_use, read_postmaster, runs_on, wait_for_predecessor
from order_service.postgres.programs import Programs, reason_in
from order_service.postgres.socket_folder import prepare_socket_folder, remove_socket_folder

# On the command line, where neither postgresql.conf nor ALTER SYSTEM can change what our promises rest on.
_FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "C",
}
_THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "authentication_timeout": "5",  # a client that gave up while it connected keeps its database from being dropped
}
# What a new server says while the last processes of the one before are ending.
_NOT_YET_FREE = ('lock file "postmaster.pid" already exists', "pre-existing shared memory block")
_POLL_S = 0.02
_RETRY_S = 0.25
_STOP_SIGNALS = (  # fast, immediate (recovers at the next start), and what nothing survives
    (signal.SIGINT, bounds.FAST_STOP_S),
    (signal.SIGQUIT, bounds.IMMEDIATE_STOP_S),
    (signal.SIGKILL, None),
)


class EmbeddedPostgres:
    """One PostgreSQL as our child, in the folder `data_dir` (ORDERS_DATA_DIR), reached by a Unix socket only.

    It ends when we end, however we end. Everything is called from the main thread (`child_processes.spawn`). Errors
    are EmbeddedPostgresError, each one clear line. `durable=False` is for tests: what is committed may be lost, and a
    crash of the machine may ruin the folder. The waits are those of `start`, in seconds.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        lock_wait_s: float = bounds.FOLDER_LOCK_WAIT_S,
        predecessor_wait_s: float = bounds.DYING_POSTMASTER_WAIT_S,
    ) -> None:
        self._lock_wait_s = lock_wait_s
        self._predecessor_wait_s = predecessor_wait_s
        self._layout = layout_of(data_dir)
        self._durable = durable
        self._account = database_account()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """A libpq URL of the service's database as its owner, with the password: not for logs. `service_url` makes that
        of the running parts from it."""
        if not self._url:
            raise RuntimeError("start() first")
        return self._url

    @property
    def pid(self) -> int | None:
        """None if it was never started or was stopped."""
        return self._child.pid if self._child else None

    def poll(self) -> int | None:
        """None while it runs, else its exit code; keeps its log bounded. Call it now and then."""
        if self._child is None:
            return 0
        self._bound_log()
        return self._child.poll()

    def start(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Returns when it takes connections; makes the data folder at the first start. Does nothing if it runs.

        Waits for another service that stops (10 s) and a server that dies (60 s), else DataFolderInUse; and for crash
        recovery as long as that gets on, 10 minutes at most. Once `stopping()` is true it waits no longer: it raises
        StartAbandoned, and nothing runs.
        """
        if self._child and self._child.poll() is None:
            return
        layout = self._layout

        def pause(seconds: float) -> None:
            if stopping():
                raise StartAbandoned(f"PostgreSQL was told to stop while it started in {layout.data_dir}")
            time.sleep(seconds)

        try:
            with naming_the_folder(layout.data_dir):
                prepare_home(layout, self._account)
                if self._lock is None:
                    self._lock = lock_home(layout, wait_s=self._lock_wait_s, pause=pause)
                free_by = time.monotonic() + self._predecessor_wait_s
                with Programs(layout, self._account) as programs:
                    wait_for_predecessor(layout, give_up_at=free_by, pause=pause)
                    ensure_cluster(layout, programs, durable=self._durable)
                    while not self._try_start(programs, pause):
                        if time.monotonic() >= free_by:
                            raise in_use(layout)
                        pause(_RETRY_S)
                self._url = layout.url()
            self._expect_login()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it: fast; if that takes too long, at once. Does nothing if it does not run."""
        child, self._child, self._url = self._child, None, ""
        if child:
            for number, patience_s in _STOP_SIGNALS:
                child.send_signal(number)
                try:
                    child.wait(patience_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            remove_socket_folder(self._layout)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _try_start(self, programs: Programs, pause: Pause) -> bool:
        """False if processes of an earlier server still hold the folder."""
        layout = self._layout
        folder = prepare_socket_folder(layout, self._account)
        socket = programs.path(folder) if folder == layout.socket else str(folder)
        settings = _FIXED | {"unix_socket_directories": socket} | ({} if self._durable else _THROWAWAY)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with suppress(FileNotFoundError):
            _older(layout.log).chmod(0o600)  # releases before this one left it to the umask
        log = os.open(layout.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            began_at = os.fstat(log).st_size
            self._child = programs.spawn("postgres", "-D", programs.path(layout.data), *options, stdout=log)
        finally:
            os.close(log)
        return self._wait_ready(self._child, began_at, pause)

    def _wait_ready(self, child: subprocess.Popen[bytes], began_at: int, pause: Pause) -> bool:
        now = time.monotonic()
        limit, stalled_at, seen = now + bounds.START_LIMIT_S, now + bounds.START_STALL_S, began_at
        while child.poll() is None:
            postmaster = read_postmaster(self._layout.data)
            if postmaster and postmaster.pid == child.pid and postmaster.ready:
                return True
            now, size = time.monotonic(), self._layout.log.stat().st_size
            if size != seen:
                stalled_at, seen = now + bounds.START_STALL_S, size
            if now >= min(limit, stalled_at):
                raise self._not_started("it does not get on")
            pause(_POLL_S)
        said = self._said_since(began_at)
        if any(words in said for words in _NOT_YET_FREE):
            return False
        raise self._not_started(reason_in(said) or f"it ended with {child.returncode}")

    def _expect_login(self) -> None:
        """As the owner and as the running parts, whose role a cluster of an earlier release has not, or with another
        password."""
        try:
            self._connect(self._url).close()
            try:
                self._connect(service_url(self._url)).close()
            except psycopg.OperationalError:
                self._renew_service_role()
        except psycopg.OperationalError as error:
            raise self._not_started(str(error).splitlines()[0]) from error

    def _renew_service_role(self) -> None:
        password = self._layout.password_file.read_text().strip()
        with self._connect(self._url.replace(f"//{ROLE}:", f"//{SUPERUSER}:", 1)) as superuser:
            known = superuser.execute("select from pg_roles where rolname = %s", [SERVICE_ROLE]).rowcount
            renewed = f"alter role {SERVICE_ROLE} password '{service_password(password)}'"
            for statement in (renewed,) if known else service_role(password):
                superuser.execute(statement.encode())

    def _connect(self, url: str) -> psycopg.Connection[Any]:
        return psycopg.connect(url, connect_timeout=bounds.CONNECT_TIMEOUT_S)

    def _not_started(self, reason: str) -> PostgresNotStarted:
        layout = self._layout
        return PostgresNotStarted(
            f"PostgreSQL did not start in ORDERS_DATA_DIR {layout.data_dir}: {reason} (log: {layout.log})"
        )

    def _said_since(self, position: int) -> str:
        with self._layout.log.open("rb") as log:
            log.seek(max(position, log.seek(0, os.SEEK_END) - bounds.MAX_LOG_READ_BYTES))
            return log.read().decode(errors="replace")

    def _bound_log(self) -> None:
        """The server appends to what is the same file before and after; lines in between may be lost."""
        log = self._layout.log
        with suppress(OSError):  # a full disk or a removed file is no reason to end
            if log.stat().st_size > bounds.MAX_LOG_BYTES:
                with suppress(OSError):
                    _copy_for_us_alone(log, _older(log))
                os.truncate(log, 0)


def _older(log: Path) -> Path:
    return log.with_suffix(".log.1")


def _copy_for_us_alone(log: Path, to: Path) -> None:
    """Whatever the umask: others may walk the folder, and a log quotes statements with their values."""
    to.unlink(missing_ok=True)
    with log.open("rb") as said, os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        shutil.copyfileobj(said, copy)


def running_url(data_dir: Path) -> str | None:
    """The URL of the server that runs in `data_dir` now and answers, else None.

    DataFolderUnusable if one may run there but is another user's.
    """
    layout = layout_of(data_dir)
    with naming_the_folder(layout.data_dir):
        postmaster = read_postmaster(layout.data)
        if not (postmaster and postmaster.ready and runs_on(postmaster, layout.data)):
            return None
        url = layout.url()
    answer = PGconn.ping(f"{url}&connect_timeout={bounds.CONNECT_TIMEOUT_S}".encode())
    return url if answer == Ping.OK else None
