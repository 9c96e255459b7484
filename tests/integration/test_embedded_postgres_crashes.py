"""What a kill -9, a reboot or a server that does not want to die leaves behind, and how the next start meets it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from order_service import bounds
from order_service.child_processes import spawn
from order_service.errors import DataFolderInUse, PostgresNotStarted, StartAbandoned
from order_service.postgres import EmbeddedPostgres, running_url
from order_service.postgres.account import database_account
from order_service.postgres.postmaster import Postmaster, read_postmaster
from tests.support.postgres import execute, passable_folder, value
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

# A service that starts the server, says its pid, and waits for its own end.
SERVICE = """
import signal, sys
from pathlib import Path
from order_service.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
signal.pause()
"""


@contextmanager
def service(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the server; killed at the end if it lives."""
    command = [sys.executable, "-c", SERVICE, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def server_of(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def later(delay_s: float, pid: int, number: signal.Signals) -> threading.Timer:
    timer = threading.Timer(delay_s, os.kill, (pid, number))
    timer.start()
    return timer


def test_the_server_ends_with_a_killed_service_and_the_next_start_finds_everything(data_dir: Path) -> None:
    with service(data_dir) as process:
        pid = server_of(process)
        url = running_url(data_dir)
        assert url
        execute(url, "insert into kept values ('committed')")
        process.kill()
        with EmbeddedPostgres(data_dir) as server:
            assert has_ended(pid)
            assert value(server.url, "select line from kept") == "committed"
    assert "received fast shutdown request" in (data_dir / "postgres/postgres.log").read_text()


def test_a_start_waits_for_a_dying_server(data_dir: Path) -> None:
    with service(data_dir) as process:
        pid = server_of(process)
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        began = time.monotonic()
        timer = later(0.5, pid, signal.SIGCONT)
        with EmbeddedPostgres(data_dir) as server:
            assert time.monotonic() - began > 0.5
            assert value(server.url, "select 1") == 1
        timer.join()


def test_a_server_that_does_not_die_is_named_with_the_folder(data_dir: Path) -> None:
    with service(data_dir) as process:
        pid = server_of(process)
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        try:
            with pytest.raises(DataFolderInUse, match=f"{data_dir} is in use by PostgreSQL with pid {pid},"):
                EmbeddedPostgres(data_dir, predecessor_wait_s=0.2).start()
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: has_ended(pid), what="the server's end")


def test_a_start_waits_for_the_last_session_of_a_dead_server(data_dir: Path) -> None:
    with service(data_dir) as process:
        pid = server_of(process)
        url = running_url(data_dir)
        assert url
        connection = psycopg.connect(url)
        session = connection.info.backend_pid
        os.kill(session, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        process.kill()
        connection.close()
        wait_until(lambda: has_ended(pid), what="the server's end")
        timer = later(0.5, session, signal.SIGCONT)
        with EmbeddedPostgres(data_dir) as server:
            assert has_ended(session)
            assert value(server.url, "select 1") == 1
        timer.join()
    assert "pre-existing shared memory block" in (data_dir / "postgres/postgres.log").read_text()


def test_everything_killed_at_once_loses_nothing_committed(data_dir: Path) -> None:
    with service(data_dir) as process:
        pid = server_of(process)
        url = running_url(data_dir)
        assert url
        execute(url, "insert into kept select n::text from generate_series(1, 1000) n")
        for each in (pid, *(child.pid for child in psutil.Process(pid).children()), process.pid):
            with suppress(ProcessLookupError):  # some end with the one before
                os.kill(each, signal.SIGKILL)
        with EmbeddedPostgres(data_dir) as server:
            assert value(server.url, "select count(*) from kept") == 1000
    assert "automatic recovery in progress" in (data_dir / "postgres/postgres.log").read_text()


def test_a_stale_pid_file_does_not_stop_a_start_even_if_the_pid_is_somebody_now(data_dir: Path) -> None:
    data = data_dir / "postgres/data"
    somebody = spawn(["/bin/sleep", "60"], env={}, account=database_account())
    try:
        server = EmbeddedPostgres(data_dir)
        server.start()
        lines = (data / "postmaster.pid").read_text().splitlines()
        server.stop()
        lines[0] = str(somebody.pid)
        (data / "postmaster.pid").write_text("\n".join(lines))
        os.chown(data / "postmaster.pid", data.stat().st_uid, data.stat().st_gid)
        assert running_url(data_dir) is None
        with server:
            assert value(server.url, "select 1") == 1
        assert somebody.poll() is None
    finally:
        somebody.kill()
        somebody.wait()


def test_a_torn_pid_file_of_a_dead_server_does_not_stop_a_start(data_dir: Path) -> None:
    data = data_dir / "postgres/data"
    (data / "postmaster.pid").write_text("99999999\n")
    os.chown(data / "postmaster.pid", data.stat().st_uid, data.stat().st_gid)
    with EmbeddedPostgres(data_dir) as server:
        assert value(server.url, "select 1") == 1


def test_a_killed_first_start_leaves_no_half_made_database() -> None:
    with passable_folder() as folder:
        home = folder / "postgres"
        with service(folder) as process:
            wait_until(lambda: list(home.glob("initdb-*/data/base/1")), what="initdb at work")
            process.kill()
        assert not (home / "data").exists()
        with EmbeddedPostgres(folder) as server:
            assert value(server.url, "select 1") == 1
        assert not list(home.glob("initdb-*"))


def test_stop_does_not_wait_for_a_session_that_does_not_end(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("order_service.postgres.server._STOP_SIGNALS", [(signal.SIGINT, 0.2), (signal.SIGKILL, None)])
    server = EmbeddedPostgres(data_dir)
    server.start()
    with psycopg.connect(server.url) as connection:
        session = connection.info.backend_pid
        os.kill(session, signal.SIGSTOP)
        try:
            server.stop()
            assert server.pid is None
        finally:
            os.kill(session, signal.SIGCONT)
        wait_until(lambda: has_ended(session), what="the session's end")
        connection.close()
    with server:
        assert value(server.url, "select 1") == 1


@pytest.fixture
def not_ready_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """As in a long recovery: the next `looks` at the server find it not ready yet, and call `meanwhile`."""

    def not_ready_for(looks: int, meanwhile: Callable[[], None]) -> None:
        left = iter(range(looks))

        def read(data: Path) -> Postmaster | None:
            if next(left, None) is None:
                return read_postmaster(data)
            meanwhile()
            return None

        monkeypatch.setattr("order_service.postgres.server.read_postmaster", read)

    return not_ready_for


def test_a_start_that_does_not_get_on_is_given_up(
    data_dir: Path, not_ready_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "START_STALL_S", 0.2)
    not_ready_for(1000, lambda: None)
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(PostgresNotStarted, match=f"{data_dir}: it does not get on .log: "):
        server.start()
    assert server.pid is None
    assert running_url(data_dir) is None


@pytest.mark.parametrize(("limit_s", "starts"), [(60.0, True), (0.3, False)])
def test_a_recovery_that_gets_on_is_waited_for_within_a_limit(
    data_dir: Path, not_ready_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch, limit_s: float, starts: bool
) -> None:
    monkeypatch.setattr(bounds, "START_STALL_S", 0.2)
    monkeypatch.setattr(bounds, "START_LIMIT_S", limit_s)

    def recover() -> None:
        with (data_dir / "postgres/postgres.log").open("a") as log:
            log.write("redo in progress\n")

    not_ready_for(40, recover)
    with nullcontext() if starts else pytest.raises(PostgresNotStarted), EmbeddedPostgres(data_dir) as server:
        assert value(server.url, "select 1") == 1


def test_a_start_is_given_up_in_the_middle_of_a_recovery(data_dir: Path, not_ready_for: Callable[..., None]) -> None:
    told: list[bool] = []
    not_ready_for(1000, lambda: told.append(True))
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(StartAbandoned):
        server.start(stopping=lambda: bool(told))
    assert server.pid is None
