"""Rows follow the log, whoever dies in between, and whoever else follows."""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import Cursor

from orders.eventstore.port import Recorded
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import read_checkpoint
from projections.errors import ForeignTables
from projections.order_status import ORDER_STATUS
from projections.projection import Change, Projection
from projections.registry import PROJECTIONS
from projections.tables import apply_to, check_tables, make_tables
from projections.trades import TRADES
from tests.support.projection_rows import (
    counted_fills,
    folded_fills,
    folded_orders,
    listed_orders,
    position_of,
    wait_for_rows,
)
from tests.support.read_service import projecting
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until


def test_the_projector_follows_the_log_live(store: PostgresEventStore, database_url: str) -> None:
    desk = TradingDesk(store)
    desk.place()
    with projecting(store, database_url):
        order_id = desk.place()
        desk.fill(order_id, 100)
        for projection in PROJECTIONS:
            wait_for_rows(database_url, projection, store.head())
        with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
            cursor.execute("set search_path = projection_order_status, projection_trades")
            assert listed_orders(cursor) == folded_orders(desk.log())
            assert counted_fills(cursor) == folded_fills(desk)


def test_a_backend_killed_between_rows_and_checkpoint_leaves_neither(
    store: PostgresEventStore, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def die_twice(cursor: Cursor[Any], projection: Projection, schema: str, batch: Sequence[Recorded]) -> None:
        apply_to(cursor, projection, schema, batch)
        with psycopg.connect(database_url) as connection:
            row = connection.execute("select count(*) from projection_order_status.orders").fetchone()
            assert row is not None
            seen.append((row[0], position_of(database_url, ORDER_STATUS)))
        if len(seen) <= 2:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr("projections.projector.apply_to", die_twice)
    desk = TradingDesk(store)
    for _ in range(5):
        desk.place()
    with projecting(store, database_url, [ORDER_STATUS]):
        wait_for_rows(database_url, ORDER_STATUS, store.head())
        with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
            cursor.execute("set search_path = projection_order_status")
            assert listed_orders(cursor) == folded_orders(desk.log())
    assert len(seen) >= 3
    assert seen[:3] == [(0, 0)] * 3


def test_a_projection_that_fails_stops_alone_and_goes_on_when_mended(
    store: PostgresEventStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()
    broken.set()

    def fails_on_the_third(batch: Sequence[Recorded]) -> Sequence[Change]:
        if broken.is_set() and any(one.position == 3 for one in batch):
            raise ValueError("a rule that is not ready for this")
        return ORDER_STATUS.step(batch)

    desk = TradingDesk(store)
    with projecting(store, database_url, [msgspec.structs.replace(ORDER_STATUS, step=fails_on_the_third), TRADES]):
        for _ in range(4):
            desk.fill(desk.place(), 100)
        wait_for_rows(database_url, TRADES, store.head())
        wait_for_rows(database_url, ORDER_STATUS, 2)
        wait_until(lambda: "position 3" in caplog.text, what="the log line that names the position")
        assert position_of(database_url, ORDER_STATUS) == 2
        assert told_failures(database_url) == [("order_status", 3, "ValueError: a rule that is not ready for this")]
        broken.clear()
        wait_for_rows(database_url, ORDER_STATUS, store.head())
        wait_until(lambda: not told_failures(database_url), what="the failure to be over")


def told_failures(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("select name, position, reason from follower_failure").fetchall()


def test_a_failure_that_a_dead_projector_told_of_is_over_when_another_one_is_past_it(
    store: PostgresEventStore, database_url: str
) -> None:
    TradingDesk(store).place()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("insert into follower_failure (name, position, reason) values ('trades', 1, 'gone')")
    with projecting(store, database_url):
        wait_until(lambda: not told_failures(database_url), what="the failure to be over")


def rebuilt(url: str, projection: Projection) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        return make_tables(connection, projection)


def test_tables_are_made_once_and_filled_again_when_their_sql_or_meaning_changes(
    store: PostgresEventStore, database_url: str
) -> None:
    desk = TradingDesk(store)
    desk.place()
    with projecting(store, database_url):
        wait_for_rows(database_url, ORDER_STATUS, 1)
    assert not rebuilt(database_url, ORDER_STATUS)
    changed = msgspec.structs.replace(ORDER_STATUS, sql={**ORDER_STATUS.sql, "more": "select 1"})
    assert rebuilt(database_url, changed)
    assert position_of(database_url, ORDER_STATUS) == 0
    assert not rebuilt(database_url, changed)
    assert rebuilt(database_url, msgspec.structs.replace(changed, revision=2))
    with psycopg.connect(database_url) as connection:
        checkpoint = read_checkpoint(connection, ORDER_STATUS.name)
    assert checkpoint is not None
    assert (checkpoint.position, checkpoint.generation) == (0, 3)


def test_tables_without_a_checkpoint_or_a_checkpoint_without_tables_start_over(database_url: str) -> None:
    assert rebuilt(database_url, TRADES)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("delete from follower_checkpoint")
    assert rebuilt(database_url, TRADES)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("drop schema projection_trades cascade")
    assert rebuilt(database_url, TRADES)


def test_a_follower_does_not_write_into_tables_of_another_release(
    store: PostgresEventStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = TradingDesk(store)
    desk.place()
    newer = msgspec.structs.replace(ORDER_STATUS, revision=2)
    with projecting(store, database_url, [ORDER_STATUS]):
        wait_for_rows(database_url, ORDER_STATUS, 1)
        rebuilt(database_url, newer)
        wait_until(lambda: "those of another release" in caplog.text, what="the follower that refuses")
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        assert cursor.execute("select count(*) from projection_order_status.orders").fetchone() == (0,)
        assert position_of(database_url, ORDER_STATUS) == 0
        check_tables(cursor, newer)
        with pytest.raises(ForeignTables):
            check_tables(cursor, ORDER_STATUS)


def test_projectors_that_start_together_make_the_tables_once(store: PostgresEventStore, database_url: str) -> None:
    desk = TradingDesk(store)
    desk.place()
    with projecting(store, database_url), projecting(store, database_url), projecting(store, database_url):
        wait_for_rows(database_url, ORDER_STATUS, 1)
    with psycopg.connect(database_url) as connection:
        generations = connection.execute("select distinct generation from follower_checkpoint").fetchall()
    assert generations == [(1,)]


def test_another_projector_takes_over(store: PostgresEventStore, database_url: str) -> None:
    desk = TradingDesk(store)
    with projecting(store, database_url) as stop_first, projecting(store, database_url):
        desk.place()
        wait_for_rows(database_url, ORDER_STATUS, 1)
        stop_first.set()
        desk.place()
        wait_for_rows(database_url, ORDER_STATUS, 2)
        with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
            cursor.execute("set search_path = projection_order_status")
            assert listed_orders(cursor) == folded_orders(desk.log())


def test_every_projection_has_a_name_and_tables_of_its_own() -> None:
    assert len({projection.name for projection in PROJECTIONS}) == len(PROJECTIONS)
    assert all("create table" in projection.sql["tables"] for projection in PROJECTIONS)
