"""The embedded PostgreSQL as the service uses it: made, started, stopped, killed, and started again."""

import os
import signal
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from order_service import bounds
from order_service.errors import (
    DataFolderInUse,
    DataFolderUnusable,
    PostgresNotStarted,
    StartAbandoned,
    WrongDataVersion,
)
from order_service.postgres import EmbeddedPostgres, running_url
from order_service.postgres.account import database_account
from order_service.postgres.layout import SUPERUSER
from tests.support.postgres import copy_data_dir, execute, passable_folder, value
from tests.support.waiting import wait_until

AS_ROOT = os.geteuid() == 0


def superuser(url: str) -> str:
    return url.replace("//orders:", f"//{SUPERUSER}:").replace("/orders?", "/postgres?")


def test_the_first_start_makes_a_durable_database_that_only_we_can_reach() -> None:
    with passable_folder() as folder:
        data_dir = folder / "some" / "data"
        with EmbeddedPostgres(data_dir) as server:
            assert value(server.url, "select current_user || ' of ' || current_database()") == "orders of orders"
            assert value(server.url, "select rolsuper from pg_roles where rolname = current_user") is False
            for name, expected in {
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "listen_addresses": "",
                "server_encoding": "UTF8",
                "data_checksums": "on",
                "TimeZone": "UTC",
            }.items():
                assert value(server.url, f"show {name}") == expected, name
        modes = {
            name: stat.S_IMODE((data_dir / "postgres" / name).stat().st_mode) for name in ("password", "data", "lock")
        }
        assert modes == {"password": 0o600, "data": 0o700, "lock": 0o600}
        assert not list((data_dir / "postgres").glob("initdb-*"))


def test_what_was_committed_is_there_after_stop_and_start(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    for line in ("one", "two"):
        server.start()
        execute(server.url, f"insert into kept values ('{line}')")
        server.stop()
    with server:
        assert value(server.url, "select string_agg(line, ' ' order by line) from kept") == "one two"


def test_durability_cannot_be_switched_off_by_the_server_itself(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            execute(superuser(server.url), f"alter system set {name} = off")
    with EmbeddedPostgres(data_dir) as server:
        shown = [value(server.url, f"show {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")]
        assert shown == ["on", "on", "on"]


@pytest.mark.parametrize("password", ["", "wrong"])
@pytest.mark.parametrize("role", ["orders", SUPERUSER])
def test_nobody_enters_without_the_password(postgres_server: EmbeddedPostgres, role: str, password: str) -> None:
    right = postgres_server.url.partition("//orders:")[2].partition("@")[0]
    with pytest.raises(psycopg.OperationalError, match=r"password"):
        psycopg.connect(postgres_server.url.replace(f"orders:{right}", f"{role}:{password}"))


def test_the_server_is_a_child_in_a_session_of_its_own_and_not_root(postgres_server: EmbeddedPostgres) -> None:
    assert postgres_server.pid
    process = psutil.Process(postgres_server.pid)
    account = database_account()
    assert process.ppid() == os.getpid()
    assert os.getsid(process.pid) == process.pid
    assert set(process.uids()) == {account.uid if account else os.geteuid()}


def test_a_running_server_is_found_by_its_folder_and_only_while_it_runs(data_dir: Path) -> None:
    assert running_url(data_dir.parent / "nowhere") is None
    assert running_url(data_dir) is None
    with EmbeddedPostgres(data_dir) as server:
        assert running_url(data_dir) == server.url
        copy = (data_dir / "postgres/data/postmaster.pid").read_text()
    (data_dir / "postgres/data/postmaster.pid").write_text(copy.replace(copy.split()[0], str(os.getpid()), 1))
    assert running_url(data_dir) is None


def test_start_and_stop_may_be_repeated(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.stop()
    server.start()
    pid = server.pid
    server.start()
    assert (server.pid, server.poll()) == (pid, None)
    server.stop()
    server.stop()
    assert (server.pid, server.poll()) == (None, 0)
    with pytest.raises(RuntimeError, match=r"start\(\) first"):
        _ = server.url


def test_a_server_that_died_is_started_again_by_the_same_supervisor(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        execute(server.url, "insert into kept values ('before')")
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(server.poll, what="the server's end") == -signal.SIGKILL
        server.start()
        assert value(server.url, "select line from kept") == "before"


def test_two_servers_run_side_by_side_even_where_their_paths_are_too_long_for_a_socket(first_data_dir: Path) -> None:
    with passable_folder() as folder:
        servers = []
        for name in ("first", "second"):
            long = folder / name / ("long," * 24)
            long.parent.mkdir()
            servers.append(EmbeddedPostgres(copy_data_dir(first_data_dir, long)))
        with servers[0] as first, servers[1] as second:
            execute(first.url, "insert into kept values ('of the first')")
            assert value(second.url, "select count(*) from kept") == 0
            sockets = [(folder / name / ("long," * 24) / "postgres/socket").readlink() for name in ("first", "second")]
            assert [stat.S_IMODE(socket.stat().st_mode) for socket in sockets] == [0o700, 0o700]
            before = second.url
            assert running_url(folder / "second" / ("long," * 24)) == before
            assert second.pid
            os.kill(second.pid, signal.SIGKILL)
            wait_until(second.poll, what="the server's end")
            second.start()
            assert second.url == before, "clients find it again"
        assert not any(socket.exists() for socket in sockets)


def test_a_second_service_on_the_same_folder_is_told_who_has_it(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        with pytest.raises(
            DataFolderInUse, match=f"{data_dir} is in use by another running service .pid {os.getpid()}"
        ):
            EmbeddedPostgres(data_dir, lock_wait_s=0.1).start()
        assert value(server.url, "select 1") == 1


def test_a_start_that_is_given_up_leaves_nothing_behind(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with pytest.raises(StartAbandoned):
        server.start(stopping=lambda: True)
    assert server.pid is None
    with EmbeddedPostgres(data_dir, lock_wait_s=0):
        pass


def test_data_of_another_major_version_is_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres/data/PG_VERSION").write_text("17\n")
    with pytest.raises(WrongDataVersion, match=r"written by PostgreSQL 17.*ORDERS_DATA_DIR"):
        EmbeddedPostgres(data_dir).start()


def test_a_lost_password_is_replaced(data_dir: Path) -> None:
    (data_dir / "postgres/password").unlink()
    with EmbeddedPostgres(data_dir) as server:
        assert value(server.url, "select 1") == value(superuser(server.url), "select 1") == 1


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataFolderUnusable, match=rf"ORDERS_DATA_DIR {tmp_path}/data cannot be used: Not a directory"):
        EmbeddedPostgres(tmp_path / "data").start()


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("inside", ["postgres", "postgres/data"])
def test_data_of_another_user_is_left_alone(data_dir: Path, inside: str) -> None:
    os.chown(data_dir / inside, 12345, -1)
    with pytest.raises(DataFolderUnusable, match=f"{data_dir}/{inside} belongs to uid 12345"):
        EmbeddedPostgres(data_dir).start()


def test_a_server_that_refuses_its_settings_says_why_in_one_line(data_dir: Path) -> None:
    with (data_dir / "postgres/data/postgresql.conf").open("a") as file:
        file.write("shared_buffers = 'plenty'\n")
    with pytest.raises(PostgresNotStarted) as caught:
        EmbeddedPostgres(data_dir).start()
    assert 'postgresql.conf" contains errors' in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_log_is_bounded(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    log = data_dir / "postgres/postgres.log"
    older = log.with_suffix(".log.1")
    older.touch(0o644)
    with EmbeddedPostgres(data_dir) as server:
        assert mode(older) == 0o600, "one that an earlier release left"
        older.unlink()
        monkeypatch.setattr(bounds, "MAX_LOG_BYTES", 100)
        assert log.stat().st_size > 100
        assert server.poll() is None
        assert log.stat().st_size == 0
        assert older.stat().st_size > 100
        assert mode(older) == mode(log) == 0o600, "it quotes statements with their values"
        with pytest.raises(psycopg.errors.UndefinedTable):
            execute(server.url, "select * from nowhere")
        assert "nowhere" in log.read_text()
        log.unlink()
        assert server.poll() is None
