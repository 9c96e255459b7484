"""doctor, of a database that answers and takes no writes: it is named as the cause, and no part is said to be down that
may run and fail."""

from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from order_service.cli import database_checks
from order_service.cli.database_checks import check_database
from order_service.cli.findings import Finding
from order_service.configuration.settings import load_settings


def found(folder: Path, database_url: str) -> dict[str, Finding]:
    given = load_settings({"ORDERS_DATA_DIR": str(folder), "DATABASE_URL": database_url}, folder / "no.env")
    return {finding.check: finding for finding in check_database(given)}


def test_a_database_that_is_read_only_is_wrong_and_says_what_makes_it_so(tmp_path: Path, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        name = Identifier(owner.info.dbname)
        owner.execute(SQL("alter database {} set default_transaction_read_only = on").format(name))
        database = found(tmp_path, database_url)["database"]
        owner.execute(SQL("alter database {} reset default_transaction_read_only").format(name))
    assert database.state == "wrong"
    assert "takes no writes: cannot execute CREATE TABLE" in database.found
    assert "default_transaction_read_only" in database.to_do
    assert "takes no writes" not in found(tmp_path, database_url)["database"].found


def test_a_full_disk_is_told_as_such(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    full = "do $$ begin raise disk_full using message = 'could not extend file: No space left on device'; end $$"
    monkeypatch.setattr(database_checks, "_SQL", {**database_checks._SQL, "try_to_write": full})
    database = found(tmp_path, database_url)["database"]
    assert (database.state, database.to_do) == ("wrong", "make room on the disk of the database")
    assert "takes no writes: could not extend file: No space left on device" in database.found


def test_a_standby_is_told_apart() -> None:
    error = psycopg.errors.ReadOnlySqlTransaction("cannot execute CREATE TABLE AS in a read-only transaction")
    assert "the primary" in database_checks._no_writes("18.4", error, standby=True).to_do


def test_trying_leaves_nothing_and_a_role_that_may_not_try_is_no_finding(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        tables = "select count(*) from pg_class"
        before = owner.execute(tables).fetchall()
        found(tmp_path, database_url)
        assert owner.execute(tables).fetchall() == before
    forbidden = "do $$ begin raise insufficient_privilege; end $$"
    monkeypatch.setattr(database_checks, "_SQL", {**database_checks._SQL, "try_to_write": forbidden})
    assert "takes no writes" not in found(tmp_path, database_url)["database"].found


def test_a_part_that_does_not_follow_may_run_and_fail(tmp_path: Path, database_url: str) -> None:
    followers = [one for check, one in found(tmp_path, database_url).items() if check.startswith("follower ")]
    assert followers
    for follower in followers:
        assert "or see its log where it runs" in follower.to_do
