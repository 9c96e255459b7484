"""Migrations on a real PostgreSQL: in order, once, whole, by any number of processes."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from order_service import migrations
from order_service.errors import (
    MigrationChanged,
    MigrationFailed,
    UnknownMigration,
    UnreachableError,
    WrongMigrationFiles,
)
from order_service.migrations import migrate, pending, read_migrations
from tests.support.postgres import execute, value

FIRST = "create table parcel (id int primary key);"
SECOND = "alter table parcel add column weight int; insert into parcel values (1, 10), (2, 5 % 3);"
THIRD = "create function heaviest() returns int language sql as $$ select max(weight) from parcel; $$;"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"0001_parcel.sql": FIRST, "0002_weight.sql": SECOND, "0003_heaviest.sql": THIRD}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_are_applied_in_order_and_only_once(empty_database_url: str, folder: Path) -> None:
    names = ["0001_parcel.sql", "0002_weight.sql", "0003_heaviest.sql"]
    assert pending(empty_database_url, directory=folder) == names
    assert migrate(empty_database_url, directory=folder) == names
    assert value(empty_database_url, "select heaviest()") == 10
    assert pending(empty_database_url, directory=folder) == []
    assert migrate(empty_database_url, directory=folder) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_database_of_an_older_version_gets_what_it_lacks(empty_database_url: str, folder: Path, version: int) -> None:
    newer = [folder / name for name in ("0002_weight.sql", "0003_heaviest.sql")][version - 1 :]
    texts = [file.read_text() for file in newer]
    for file in newer:
        file.unlink()
    migrate(empty_database_url, directory=folder)
    for file, text in zip(newer, texts, strict=True):
        file.write_text(text)
    assert migrate(empty_database_url, directory=folder) == [file.name for file in newer]
    assert value(empty_database_url, "select heaviest()") == 10


def test_to_ask_what_is_pending_changes_nothing(empty_database_url: str, folder: Path) -> None:
    pending(empty_database_url, directory=folder)
    assert value(empty_database_url, "select count(*) from pg_tables where schemaname = 'public'") == 0


def test_a_changed_file_is_refused_by_name(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, directory=folder)
    (folder / "0002_weight.sql").write_text(f"{SECOND} -- and more")
    for call in (migrate, pending):
        with pytest.raises(MigrationChanged, match=r"0002_weight\.sql is not what was applied"):
            call(empty_database_url, directory=folder)


def test_a_database_of_a_newer_version_is_refused(empty_database_url: str, folder: Path) -> None:
    migrate(empty_database_url, directory=folder)
    (folder / "0003_heaviest.sql").unlink()
    with pytest.raises(UnknownMigration, match=r"0003_heaviest\.sql.*newer version"):
        migrate(empty_database_url, directory=folder)


def test_a_file_with_a_number_before_what_is_applied_is_refused(empty_database_url: str, folder: Path) -> None:
    (folder / "0002_weight.sql").rename(folder / "late")
    (folder / "0003_heaviest.sql").write_text("select 1")
    migrate(empty_database_url, directory=folder)
    (folder / "late").rename(folder / "0002_weight.sql")
    with pytest.raises(WrongMigrationFiles, match=r"0002_weight\.sql comes before 0003_heaviest\.sql"):
        migrate(empty_database_url, directory=folder)


def test_of_a_failed_file_nothing_is_applied_and_what_came_before_stays(empty_database_url: str, folder: Path) -> None:
    (folder / "0002_weight.sql").write_text(f"{SECOND} insert into parcel values (1, 1);")
    with pytest.raises(MigrationFailed, match=r"0002_weight\.sql failed, nothing of it was applied: duplicate key"):
        migrate(empty_database_url, directory=folder)
    assert value(empty_database_url, "select count(*) from parcel") == 0
    assert pending(empty_database_url, directory=folder) == ["0002_weight.sql", "0003_heaviest.sql"]
    (folder / "0002_weight.sql").write_text(SECOND)
    assert migrate(empty_database_url, directory=folder) == ["0002_weight.sql", "0003_heaviest.sql"]


def test_a_file_that_commits_by_itself_is_refused(empty_database_url: str, folder: Path) -> None:
    (folder / "0001_parcel.sql").write_text(f"{FIRST} commit;")
    with pytest.raises(MigrationFailed, match=r"0001_parcel\.sql ends its transaction itself"):
        migrate(empty_database_url, directory=folder)


def test_processes_that_migrate_at_once_apply_each_file_once(empty_database_url: str, folder: Path) -> None:
    program = """
import sys
from pathlib import Path
from order_service.migrations import migrate
input()
print(*migrate(sys.argv[1], directory=Path(sys.argv[2])))
"""
    command = [sys.executable, "-c", program, empty_database_url, str(folder)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    applied = [name for process in processes for name in process.communicate(timeout=30)[0].split()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(applied) == ["0001_parcel.sql", "0002_weight.sql", "0003_heaviest.sql"]
    assert value(empty_database_url, "select count(*) from parcel") == 2


def test_a_migration_waits_for_another_one_but_not_for_ever(
    empty_database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIGRATION_LOCK_WAIT_S", 1)
    with psycopg.connect(empty_database_url) as other:
        other.execute("select pg_advisory_xact_lock(1869767794, 2)")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            migrate(empty_database_url, directory=folder)
        monkeypatch.setattr(migrations, "MIGRATION_LOCK_WAIT_S", 30)
        release = threading.Timer(0.2, other.rollback)
        release.start()
        assert len(migrate(empty_database_url, directory=folder)) == 3
        release.join()


def test_a_time_limit_of_the_database_is_not_for_migrations(empty_database_url: str, folder: Path) -> None:
    execute(
        empty_database_url,
        "do $$ begin execute format('alter database %I set statement_timeout = 50', current_database()); end $$",
    )
    (folder / "0001_parcel.sql").write_text(f"{FIRST} select pg_sleep(0.2);")
    assert len(migrate(empty_database_url, directory=folder)) == 3


def test_a_database_that_cannot_be_reached_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        migrate(f"postgresql://me:secret@/orders?host={tmp_path}")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_service_s_own_migrations_leave_nothing_pending(database_url: str) -> None:
    assert pending(database_url) == []
    assert value(database_url, "select count(*) from schema_migrations") == len(read_migrations())
