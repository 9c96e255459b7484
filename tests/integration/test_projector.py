"""Rows follow the log: whatever the history, however it is cut into batches, whoever dies in between."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Cursor

from orders.domain.events import OrderEvent
from orders.domain.instruments import BUILT_IN
from orders.domain.order import fold, view
from orders.domain.resource import OrderResource, resource
from orders.domain.values import Side
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import read_checkpoint
from projections import order_status
from projections.errors import ForeignTables, MissingRow
from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.projector import run_projector
from projections.reads import shown_order
from projections.registry import PROJECTIONS
from projections.tables import apply_to, check_tables, create_schema, make_tables
from projections.trades import TRADES
from tests.support.trading_desk import Step, TradingDesk, sides, steps
from tests.support.waiting import wait_until

Rows = list[tuple[Any, ...]]


@pytest.fixture
def store(database_url: str) -> Iterator[PostgresEventStore]:
    store = PostgresEventStore(database_url)
    yield store
    store.close()


@contextmanager
def projecting(
    store: PostgresEventStore, url: str, projections: Sequence[Projection] = PROJECTIONS
) -> Iterator[threading.Event]:
    """A projector in a thread, stopped at the end; the event that stops it earlier."""
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=run_projector, args=(store, url, stop, ready.set), kwargs={"projections": projections}
    )
    thread.start()
    assert ready.wait(10)
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def position_of(url: str, projection: Projection) -> int:
    with psycopg.connect(url) as connection:
        checkpoint = read_checkpoint(connection, projection.name)
    return checkpoint.position if checkpoint else 0


def wait_for_rows(url: str, projection: Projection, position: int) -> None:
    wait_until(lambda: position_of(url, projection) >= position, what=f"{projection.name} at {position}")


def all_rows(cursor: Cursor[Any]) -> tuple[Rows, Rows]:
    """Everything in the tables of both projections, wherever the search path finds them."""
    orders = cursor.execute("select * from orders order by order_id").fetchall()
    fills = cursor.execute("select * from fills order by order_id, exec_id").fetchall()
    return orders, fills


def listed_orders(cursor: Cursor[Any]) -> list[OrderResource]:
    columns = (
        "placed_position, order_id, position, version, account, client_order_id, symbol, instrument, side, type, "
        "limit_price, quantity, time_in_force, status, ord_status, filled_quantity, average_price, delivery, "
        "created_at, updated_at, executed_at"
    )
    rows = cursor.execute(f"select {columns} from orders order by placed_position", binary=True).fetchall()
    return [shown_order(row, BUILT_IN) for row in rows]


def folded_orders(log: Sequence[Recorded]) -> list[OrderResource]:
    """The orders folded from their events, in order of placing."""
    streams: dict[UUID, list[Recorded]] = {}
    for recorded in log:
        streams.setdefault(recorded.stream_id, []).append(recorded)
    resources = []
    for order_id, stream in streams.items():
        order = fold(order_id, [one.event for one in stream if isinstance(one.event, OrderEvent)])
        assert order is not None
        resources.append(
            resource(
                order_id,
                view(order),
                BUILT_IN,
                version=order.version,
                position=stream[-1].position,
                updated_at=order.updated_at,
            )
        )
    return resources


def counted_fills(cursor: Cursor[Any]) -> dict[tuple[UUID, str], tuple[int, Decimal]]:
    rows = cursor.execute("select order_id, exec_id, quantity, price from fills where counts and reported")
    return {(order_id, exec_id): (quantity, price) for order_id, exec_id, quantity, price in rows}


def folded_fills(desk: TradingDesk) -> dict[tuple[UUID, str], tuple[int, Decimal]]:
    return {
        (order.id, exec_id): (execution.quantity, execution.price)
        for order in desk.orders.values()
        for exec_id, execution in order.executions.by_id.items()
        if execution.counts
    }


def cut(log: list[Recorded], sizes: Sequence[int]) -> Iterator[list[Recorded]]:
    """The log in batches of these sizes, and the rest in one."""
    start = 0
    for size in sizes:
        yield log[start : start + size]
        start += size
    yield log[start:]


@contextmanager
def tables_of_their_own(connection: psycopg.Connection[Any], schema: str) -> Iterator[Cursor[Any]]:
    """Empty tables of both projections, gone afterwards."""
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        for projection in PROJECTIONS:
            create_schema(cursor, projection, f"{schema}_{projection.name}")
        yield cursor


def apply_all(cursor: Cursor[Any], schema: str, log: list[Recorded], sizes: Sequence[int]) -> None:
    for batch in cut(log, sizes):
        for projection in PROJECTIONS:
            apply_to(cursor, projection, f"{schema}_{projection.name}", batch)


@settings(max_examples=40)
@given(
    terms=st.lists(
        st.tuples(sides, st.integers(1, 100), st.sampled_from([None, "1.1", "1.10", "2E+1"])), min_size=1, max_size=4
    ),
    steps=steps,
    sizes=st.lists(st.integers(0, 9), max_size=8),
)
def test_rows_are_the_orders_folded_from_the_log_however_it_is_cut(
    module_database_url: str, terms: list[tuple[Side, int, str | None]], steps: list[Step], sizes: list[int]
) -> None:
    desk = TradingDesk(MemoryEventStore())
    orders = [desk.place(side=side, quantity=quantity, price=price) for side, quantity, price in terms]
    desk.play(steps, orders)
    with psycopg.connect(module_database_url) as connection:
        with tables_of_their_own(connection, "cut") as cursor:
            apply_all(cursor, "cut", desk.log(), sizes)
            assert listed_orders(cursor) == folded_orders(desk.log())
            assert counted_fills(cursor) == folded_fills(desk)
            cut_rows = all_rows(cursor)
        with tables_of_their_own(connection, "whole") as cursor:
            apply_all(cursor, "whole", desk.log(), [])
            assert all_rows(cursor) == cut_rows


def test_an_order_that_was_never_placed_has_no_row_to_change(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    order_id = desk.place()
    desk.cancel(order_id)
    with (
        psycopg.connect(module_database_url) as connection,
        tables_of_their_own(connection, "none") as cursor,
        pytest.raises(MissingRow, match=str(order_id)),
    ):
        order_status.apply(cursor, desk.log()[1:])


def test_a_batch_of_thousands_is_written_whole(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    for _ in range(2_100):
        desk.place()
    with psycopg.connect(module_database_url) as connection, tables_of_their_own(connection, "big") as cursor:
        apply_all(cursor, "big", desk.log(), [])
        assert listed_orders(cursor) == folded_orders(desk.log())


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


def breaking(projection: Projection, breaks: Callable[[Cursor[Any], Sequence[Recorded]], None]) -> Projection:
    """The projection with something that happens after its rows were written, before the checkpoint moves."""

    def apply(cursor: Cursor[Any], batch: Sequence[Recorded]) -> None:
        projection.apply(cursor, batch)
        breaks(cursor, batch)

    return msgspec.structs.replace(projection, apply=apply)


def test_a_backend_killed_between_rows_and_checkpoint_leaves_neither(
    store: PostgresEventStore, database_url: str
) -> None:
    seen: list[tuple[int, int]] = []

    def die_twice(cursor: Cursor[Any], batch: Sequence[Recorded]) -> None:
        with psycopg.connect(database_url) as connection:
            row = connection.execute("select count(*) from projection_order_status.orders").fetchone()
            assert row is not None
            seen.append((row[0], position_of(database_url, ORDER_STATUS)))
        if len(seen) <= 2:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    desk = TradingDesk(store)
    for _ in range(5):
        desk.place()
    with projecting(store, database_url, [breaking(ORDER_STATUS, die_twice)]):
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

    def fail_on_the_third(cursor: Cursor[Any], batch: Sequence[Recorded]) -> None:
        if broken.is_set() and any(one.position == 3 for one in batch):
            raise MissingRow("order_status", [batch[0].stream_id])

    desk = TradingDesk(store)
    with projecting(store, database_url, [breaking(ORDER_STATUS, fail_on_the_third), TRADES]):
        for _ in range(4):
            desk.fill(desk.place(), 100)
        wait_for_rows(database_url, TRADES, store.head())
        wait_for_rows(database_url, ORDER_STATUS, 2)
        wait_until(lambda: "position 3" in caplog.text, what="the log line that names the position")
        assert position_of(database_url, ORDER_STATUS) == 2
        broken.clear()
        wait_for_rows(database_url, ORDER_STATUS, store.head())


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
