"""Who holds a lock, as the database's own functions tell it to every part."""

from __future__ import annotations

from pathlib import Path

import psycopg

from order_service.cli.database_checks import check_database
from order_service.configuration.settings import load_settings
from order_service.postgres import service_url
from tests.support.postgres import execute, value

NAME = "follower of nobody"
HOLDER = f"select public.lock_holder('{NAME}')"


def test_the_session_that_holds_a_lock_is_told_as_long_as_it_does(database_url: str) -> None:
    assert value(service_url(database_url), HOLDER) is None
    with psycopg.connect(database_url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [NAME])
        assert value(service_url(database_url), HOLDER) == holder.info.backend_pid
        holder.execute("select pg_advisory_unlock_all()")
        assert value(service_url(database_url), HOLDER) is None


def test_the_same_number_in_two_halves_and_another_database_are_other_locks(
    database_url: str, empty_database_url: str
) -> None:
    halves = f"select (n >> 32)::bit(32)::int, n::bit(32)::int from hashtextextended('{NAME}', 0) as asked (n)"
    with (
        psycopg.connect(database_url, autocommit=True) as holder,
        psycopg.connect(empty_database_url, autocommit=True) as elsewhere,
    ):
        holder.execute(f"select pg_advisory_lock(high, low) from ({halves}) as halves (high, low)")
        elsewhere.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [NAME])
        assert value(database_url, HOLDER) is None


def test_the_doctor_says_what_to_do_where_a_release_before_has_made_the_database(
    database_url: str, tmp_path: Path
) -> None:
    execute(database_url, "drop function public.lock_holder")
    settings = load_settings({"DATABASE_URL": database_url}, tmp_path / "no.env")
    (followers,) = [finding for finding in check_database(settings) if finding.check == "followers"]
    assert (followers.state, followers.to_do) == ("unknown", "run `orders migrate`")
