"""Rebuilt tables take the place of the live ones: whole or not at all, no query waits, and there is a way back."""

import time
from threading import Event, Thread
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from orders.eventstore.connections import BoundedConnection, connect
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections import swap
from projections.errors import KeptForeign, NothingKept, TablesInUse
from projections.filling import FAST, Filling
from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.rebuild import Rebuilt, rebuilding
from projections.swap import kept_of, shadow_of, swap_in
from projections.trades import TRADES
from tests.support.projection_rows import wait_for_rows
from tests.support.read_service import projecting
from tests.support.rebuilds import (
    change,
    checkpoint_of,
    digest_of,
    follow,
    reached_in,
    replay,
    schemas_of,
    told_failures,
)
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until

LIVE = ORDER_STATUS.schema
COUNT = "select count(*) from projection_order_status.orders"


@pytest.fixture
def desk(store: PostgresEventStore) -> TradingDesk:
    desk = TradingDesk(store)
    for _ in range(4):
        desk.place(price="1.1")
    return desk


def roll_back(url: str, projection: Projection, store: PostgresEventStore) -> Rebuilt:
    with rebuilding(projection, store, url, pace=FAST) as rebuild:
        return rebuild.roll_back()


def filled(connection: BoundedConnection, store: PostgresEventStore, to: int, schema: str | None = None) -> Filling:
    schema = schema or shadow_of(ORDER_STATUS)
    filling = Filling(connection, ORDER_STATUS, store, schema, stop=Event(), told=lambda: None)
    filling.advance(to, FAST)
    return filling


class Dying:
    """A connection's cursors end their session after so many statements of the swap, before its commit, or after it."""

    def __init__(self, connection: BoundedConnection, statements: int) -> None:
        self.left = statements
        self.seen: list[str] = []
        dying = self

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *args: Any, **options: Any) -> Any:
                result = super().execute(query, *args, **options)
                dying.seen.append(query if isinstance(query, str) else query.as_string())
                dying.left -= 1
                if dying.left == 0:
                    super().execute("select pg_terminate_backend(pg_backend_pid())")
                return result

        connection.cursor_factory = Cursor


def statements_of_a_swap(url: str, store: PostgresEventStore, after: int) -> list[str]:
    """Swaps as many statements as given, and ends the session then; the statements that were reached."""
    with connect(url, application_name="dying") as connection:
        filling = filled(connection, store, store.head() - 2)
        dying = Dying(connection, after)
        if after:
            with pytest.raises(psycopg.OperationalError):
                swap_in(filling, Event())
        else:
            swap_in(filling, Event())
    return dying.seen


def test_a_swap_whose_session_ends_after_any_of_its_statements_has_changed_nothing(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store)
    live, number = digest_of(database_url, LIVE), 1
    while True:
        seen = statements_of_a_swap(database_url, store, number)
        assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(store.head(), 1)
        assert schemas_of(database_url, ORDER_STATUS) == ["", "_shadow"]
        assert (digest_of(database_url, LIVE), reached_in(database_url, LIVE)) == (live, store.head())
        assert reached_in(database_url, shadow_of(ORDER_STATUS)) == store.head() - 2
        if "generation = generation + 1" in seen[-1]:
            break
        number += 1
    assert number > 8
    assert statements_of_a_swap(database_url, store, 0) == seen
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(store.head(), 2)
    assert schemas_of(database_url, ORDER_STATUS) == ["", "_old"]
    assert digest_of(database_url, LIVE) == live


def test_no_query_waits_for_a_swap_not_even_behind_one_that_takes_long(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store)
    started, took_s, stop = Event(), [], Event()
    counted: list[int] = []

    def read_long() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("set application_name = 'long query'")
            statement = "select (select count(*) from orders), pg_sleep(1.5) from orders limit 1"
            connection.execute(f"set search_path = {LIVE}")
            counted.extend(count for count, _ in connection.execute(statement).fetchall())

    def read_short() -> None:
        with psycopg.connect(database_url, autocommit=True, prepare_threshold=0) as connection:
            while not stop.is_set():
                began_at = time.monotonic()
                assert connection.execute(COUNT).fetchone() == (4,)
                took_s.append(time.monotonic() - began_at)
                started.set()

    def long_query_runs() -> bool:
        with psycopg.connect(database_url) as connection:
            found = "select from pg_stat_activity where application_name = 'long query' and wait_event = 'PgSleep'"
            return bool(connection.execute(found).fetchall())

    threads = [Thread(target=read_long), Thread(target=read_short)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: long_query_runs() and started.is_set(), what="the queries")
        began_at = time.monotonic()
        replay(database_url, ORDER_STATUS, store)
        assert time.monotonic() - began_at < 1
        assert long_query_runs()
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert counted == [4]
    assert max(took_s) < 0.25


def test_statements_that_were_prepared_before_read_the_new_tables_after_it(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store)
    change(database_url, "delete from orders", LIVE)
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=0) as reader:
        assert [reader.execute(COUNT).fetchone() for _ in range(7)] == [(0,)] * 7
        assert reader.execute("select count(*) from pg_prepared_statements").fetchone() != (0,)
        replay(database_url, ORDER_STATUS, store)
        assert reader.execute(COUNT).fetchone() == (4,)
        roll_back(database_url, ORDER_STATUS, store)
        assert reader.execute(COUNT).fetchone() == (0,)


def test_the_follower_that_runs_goes_on_with_the_new_tables_within_a_second(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    with projecting(store, database_url, [ORDER_STATUS]):
        wait_for_rows(database_url, ORDER_STATUS, store.head())
        for take in (replay, roll_back, replay):
            generation = checkpoint_of(database_url, ORDER_STATUS).generation
            take(database_url, ORDER_STATUS, store)
            assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(store.head(), generation + 1)
            desk.place()
            began_at = time.monotonic()
            wait_for_rows(database_url, ORDER_STATUS, store.head())
            assert time.monotonic() - began_at < 1
            assert reached_in(database_url, LIVE) == store.head()
        assert not told_failures(database_url)


def test_rolled_back_tables_are_brought_to_where_the_live_ones_are_before_they_come_back(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    before = follow(database_url, ORDER_STATUS, store)
    replay(database_url, ORDER_STATUS, store)
    desk.cancel(next(iter(desk.orders)))
    head = follow(database_url, ORDER_STATUS, store)
    replaced = digest_of(database_url, LIVE)
    assert reached_in(database_url, kept_of(ORDER_STATUS)) == before
    done = roll_back(database_url, ORDER_STATUS, store)
    assert (done.position, done.events, done.generation) == (head, head - before, 3)
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(head, 3)
    assert digest_of(database_url, LIVE) == digest_of(database_url, kept_of(ORDER_STATUS)) == replaced
    assert schemas_of(database_url, ORDER_STATUS) == ["", "_old"]


def test_there_is_no_way_back_without_kept_tables_or_to_those_of_another_release(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, TRADES, store)
    with pytest.raises(NothingKept, match="trades has no kept tables"):
        roll_back(database_url, TRADES, store)
    newer = msgspec.structs.replace(TRADES, revision=2)
    replay(database_url, newer, store)
    with pytest.raises(KeptForeign, match="the kept tables of trades are those of another release"):
        roll_back(database_url, newer, store)
    assert checkpoint_of(database_url, TRADES).generation == 2
    assert roll_back(database_url, TRADES, store).generation == 3


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, number in (("SWAP_TRIES", 2), ("SWAP_LOCK_TIMEOUT_S", 0.05), ("SWAP_PAUSE_S", 0.01)):
        monkeypatch.setattr(swap, bound, number)
    for bound, number in (("DROP_TRIES", 2), ("SWAP_LOCK_TIMEOUT_S", 0.05), ("SWAP_PAUSE_S", 0.01)):
        monkeypatch.setattr(f"projections.filling.{bound}", number)


@pytest.mark.usefixtures("hurried")
def test_a_checkpoint_that_others_hold_is_let_alone_after_a_while_and_taken_when_it_is_free(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    head = follow(database_url, ORDER_STATUS, store)
    with psycopg.connect(database_url) as holder:
        holder.execute("select from follower_checkpoint where name = 'order_status' for update")
        with pytest.raises(TablesInUse, match="the checkpoint of order_status is in use"):
            replay(database_url, ORDER_STATUS, store)
        assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(head, 1)
    done = replay(database_url, ORDER_STATUS, store)
    assert (done.resumed_at, done.generation) == (head, 2)


@pytest.mark.usefixtures("hurried")
def test_kept_tables_that_a_query_still_reads_are_not_pulled_from_under_it(
    database_url: str, store: PostgresEventStore, desk: TradingDesk
) -> None:
    follow(database_url, ORDER_STATUS, store)
    replay(database_url, ORDER_STATUS, store)
    with psycopg.connect(database_url) as reader:
        kept = sql.Identifier(kept_of(ORDER_STATUS), "orders")
        reader.execute(sql.SQL("select from {}").format(kept))
        with pytest.raises(TablesInUse, match="projection_order_status_old is in use"):
            replay(database_url, ORDER_STATUS, store)
    assert replay(database_url, ORDER_STATUS, store).generation == 3


def test_live_tables_that_run_ahead_are_caught_up_with_before_the_swap(
    database_url: str, store: PostgresEventStore, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "SWAP_EVENTS", 1)
    follow(database_url, ORDER_STATUS, store)
    with connect(database_url, application_name="behind") as connection:
        filling = filled(connection, store, 1)
        swap_in(filling, Event())
    assert filling.position == reached_in(database_url, LIVE) == store.head()
