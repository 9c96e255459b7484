"""Rows are the orders folded from the log, whatever the history, however it is cut into batches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Cursor

from orders.domain import commands as c
from orders.domain.values import Side
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from projections.errors import MisplacedBatch, MissingRow
from projections.order_status import ORDER_STATUS
from projections.registry import PROJECTIONS
from projections.tables import apply_to, create_schema
from projections.trades import TRADES
from tests.support.projection_rows import (
    all_rows,
    counted_fills,
    folded_fills,
    folded_orders,
    listed_orders,
)
from tests.support.trading_desk import Step, TradingDesk, sides, steps


def cut(log: list[Recorded], sizes: Sequence[int]) -> Iterator[list[Recorded]]:
    """The log in batches of these sizes, and the rest in one."""
    start = 0
    for size in [*sizes, len(log)]:
        if batch := log[start : start + size]:
            yield batch
        start += size


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
    with psycopg.connect(module_database_url) as connection, tables_of_their_own(connection, "none") as cursor:
        cursor.execute("update none_order_status.reached set position = 1")
        with pytest.raises(MissingRow, match=str(order_id)):
            apply_to(cursor, ORDER_STATUS, "none_order_status", desk.log()[1:])


def test_a_batch_that_does_not_follow_what_the_tables_hold_is_refused(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    for _ in range(3):
        desk.place()
    log = desk.log()
    with psycopg.connect(module_database_url) as connection:
        for repeated_or_later in (log[:1], log[2:]):
            with tables_of_their_own(connection, "order") as cursor:
                apply_to(cursor, ORDER_STATUS, "order_order_status", log[:1])
                with pytest.raises(MisplacedBatch):
                    apply_to(cursor, ORDER_STATUS, "order_order_status", repeated_or_later)


def test_a_batch_of_thousands_is_written_whole(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    for _ in range(2_100):
        desk.place()
    with psycopg.connect(module_database_url) as connection, tables_of_their_own(connection, "big") as cursor:
        apply_all(cursor, "big", desk.log(), [])
        assert listed_orders(cursor) == folded_orders(desk.log())


def test_a_report_counts_once_however_often_it_is_in_the_log(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    order_id = desk.place(quantity=100)
    desk.fill(order_id, 10, "1.1", "e1")
    desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="e1")
    desk.fill(order_id, 20, "1.2", "e2")
    placed, fill, bust, other = desk.log()
    changed = msgspec.structs.replace(fill.event, quantity=99)
    repeats = [
        msgspec.structs.replace(fill, position=5, event=changed),
        msgspec.structs.replace(bust, position=6, event=msgspec.structs.replace(bust.event, ref_exec_id="e2")),
        msgspec.structs.replace(other, position=7),
    ]
    later = [msgspec.structs.replace(one, position=one.position + len(repeats)) for one in repeats]
    with psycopg.connect(module_database_url) as connection, tables_of_their_own(connection, "twice") as cursor:
        for batch in ([placed, fill, bust, other, *repeats], later):
            apply_to(cursor, TRADES, "twice_trades", batch)
            assert counted_fills(cursor) == folded_fills(desk) == {(order_id, "e2"): (20, Decimal("1.2"))}


def test_a_fill_that_was_only_referred_to_is_the_same_row_in_one_batch_and_in_two(module_database_url: str) -> None:
    desk = TradingDesk(MemoryEventStore())
    order_id = desk.place()
    for exec_id in ("b1", "b2"):
        desk.do(order_id, c.RecordBust, exec_id=exec_id, ref_exec_id="e1")
    with psycopg.connect(module_database_url) as connection:
        found = []
        for schema, sizes in (("one", []), ("two", [2])):
            with tables_of_their_own(connection, schema) as cursor:
                apply_all(cursor, schema, desk.log(), sizes)
                found.append(all_rows(cursor))
    assert found[0] == found[1]
