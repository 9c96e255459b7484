"""Rows are the orders folded from the log, whatever the history, however it is cut into batches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import Cursor

from orders.domain import commands as c
from orders.domain.order import view
from orders.domain.values import Side, rounded_average
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from projections import tables
from projections.errors import MisplacedBatch, MissingRow
from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.registry import PROJECTIONS
from projections.tables import apply_to, create_schema
from projections.trades import TRADES
from tests.support import naive_projections as naive
from tests.support.projection_rows import (
    all_rows,
    counted_fills,
    folded_fills,
    folded_orders,
    listed_orders,
    rows_in,
    tables_in,
)
from tests.support.trading_desk import Step, TradingDesk, reports, sides, steps


def cut(log: list[Recorded], sizes: Sequence[int]) -> Iterator[list[Recorded]]:
    """The log in batches of these sizes, and the rest in one."""
    start = 0
    for size in [*sizes, len(log)]:
        if batch := log[start : start + size]:
            yield batch
        start += size


@contextmanager
def tables_of_their_own(connection: psycopg.Connection[Any], schema: str) -> Iterator[Cursor[Any]]:
    """Empty tables of all projections, gone afterwards."""
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        for projection in PROJECTIONS:
            create_schema(cursor, projection, f"{schema}_{projection.name}")
        yield cursor


@pytest.fixture(scope="module")
def two_sets_of_tables(module_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Empty tables of all projections, twice. Leave them empty."""
    with psycopg.connect(module_database_url) as connection:
        with connection.cursor() as cursor:
            for schema, projection in product(("cut", "whole"), PROJECTIONS):
                create_schema(cursor, projection, f"{schema}_{projection.name}")
            cursor.execute("reset search_path")
        connection.commit()
        yield connection
        connection.rollback()


def look_at(cursor: Cursor[Any], schema: str, projection: Projection) -> Cursor[Any]:
    """Unqualified names mean this projection's tables."""
    cursor.execute(f"set search_path = {schema}_{projection.name}")
    return cursor


def apply_all(cursor: Cursor[Any], schema: str, log: list[Recorded], sizes: Sequence[int]) -> None:
    for batch in cut(log, sizes):
        for projection in PROJECTIONS:
            apply_to(cursor, projection, f"{schema}_{projection.name}", batch)


@settings(max_examples=60)
@given(
    terms=st.lists(
        st.tuples(sides, st.integers(1, 100), st.sampled_from([None, "1.1", "1.10", "2E+1"])), min_size=1, max_size=4
    ),
    steps=steps | reports,
    sizes=st.lists(st.integers(0, 9), max_size=8),
    pace=st.sampled_from([timedelta(seconds=1), timedelta(hours=7)]),
)
def test_rows_are_what_the_log_says_one_event_after_the_other_however_it_is_cut(
    two_sets_of_tables: psycopg.Connection[Any],
    terms: list[tuple[Side, int, str | None]],
    steps: list[Step],
    sizes: list[int],
    pace: timedelta,
) -> None:
    desk = TradingDesk(MemoryEventStore(), pace=pace)
    orders = [desk.place(side=side, quantity=quantity, price=price) for side, quantity, price in terms]
    desk.play(steps, orders)
    log = desk.log()
    with two_sets_of_tables.transaction(force_rollback=True), two_sets_of_tables.cursor() as cursor:
        apply_all(cursor, "cut", log, sizes)
        check_rows(cursor, "cut", desk)
        apply_all(cursor, "whole", log, [])
        assert all_rows(cursor, "whole") == all_rows(cursor, "cut")


def check_rows(cursor: Cursor[Any], schema: str, desk: TradingDesk) -> None:
    log = desk.log()
    assert listed_orders(look_at(cursor, schema, ORDER_STATUS)) == folded_orders(log)
    assert counted_fills(look_at(cursor, schema, TRADES)) == folded_fills(desk)
    assert rows_in(cursor, f"{schema}_trades", "order_trades") == naive.naive_order_trades(log)
    check_averages(cursor, schema, desk)
    for table, rows in naive.naive_book(log).items():
        assert rows_in(cursor, f"{schema}_order_book", table) == rows
    assert rows_in(cursor, f"{schema}_positions", "positions") == naive.naive_positions(log)
    assert rows_in(cursor, f"{schema}_daily_summary", "days") == {
        (*key, *(sums[name] for name in DAY_COLUMNS)) for key, sums in naive.naive_days(log).items()
    }


def check_averages(cursor: Cursor[Any], schema: str, desk: TradingDesk) -> None:
    """What was traded of each order is what the order itself says."""
    traded = {order_id: sums for order_id, _, _, _, *sums in rows_in(cursor, f"{schema}_trades", "order_trades")}
    for order_id, order in desk.orders.items():
        quantity, notional = traded.get(order_id, (0, Decimal(0)))
        after = view(order)
        assert (quantity, rounded_average(notional, quantity)) == (after.filled_quantity, after.average_price)


DAY_COLUMNS = (
    *("position", "placed", "Executed", "Canceled", "Rejected", "Expired"),
    *("fills", "quantity", "notional"),
)


@pytest.mark.parametrize(("size", "statement_rows"), [(1, 9), (2, 9), (3, 9), (100, 9), (100, 1), (100, 2)])
def test_what_refers_to_fills_of_other_days_counts_on_the_right_day_however_the_log_is_cut(
    two_sets_of_tables: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch, size: int, statement_rows: int
) -> None:
    monkeypatch.setattr(tables, "APPLY_ROWS", statement_rows)
    desk = TradingDesk(MemoryEventStore(), pace=timedelta(hours=25))
    order_id, other = desk.place(quantity=100), desk.place(quantity=50, price="1.1")

    def correct(exec_id: str, ref_exec_id: str) -> None:
        fields = {"exec_id": exec_id, "ref_exec_id": ref_exec_id, "quantity": 7, "price": Decimal("1.5")}
        assert desk.do(order_id, c.RecordCorrection, **fields)

    desk.fill(order_id, 10, exec_id="e1")
    correct("c1", "e1")
    correct("c2", "c1")
    assert desk.do(order_id, c.RecordBust, exec_id="b0", ref_exec_id="late")
    correct("early", "late")
    desk.fill(order_id, 20, exec_id="late")
    correct("c3", "early")
    desk.fill(other, 50, "1.2", exec_id="full")
    desk.fill(order_id, 5, exec_id="e2")
    assert desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="c2")
    assert desk.do(other, c.RecordBust, exec_id="b1", ref_exec_id="full")
    assert desk.do(order_id, c.RecordBust, exec_id="b2", ref_exec_id="c2")
    with two_sets_of_tables.transaction(force_rollback=True), two_sets_of_tables.cursor() as cursor:
        apply_all(cursor, "cut", desk.log(), [size] * len(desk.log()))
        check_rows(cursor, "cut", desk)


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
        assert listed_orders(look_at(cursor, "big", ORDER_STATUS)) == folded_orders(desk.log())


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
                found.append(all_rows(cursor, schema))
    assert found[0] == found[1]


def test_a_fill_taken_back_has_its_exact_price_and_names_what_first_did_it_however_the_log_is_cut(
    two_sets_of_tables: psycopg.Connection[Any],
) -> None:
    desk, longest = TradingDesk(MemoryEventStore()), f"1.{'3' * 39}"
    order_id, found = desk.place(), []
    desk.do(order_id, c.RecordBust, exec_id="b0", ref_exec_id="late")
    for exec_id in ("late", "busted", "corrected"):
        desk.fill(order_id, 1, longest, exec_id=exec_id)
    desk.do(order_id, c.RecordCorrection, exec_id="c1", ref_exec_id="corrected", quantity=2, price=Decimal(longest))
    for exec_id, busted in (("b1", "busted"), ("b2", "busted"), ("b3", "c1")):
        desk.do(order_id, c.RecordBust, exec_id=exec_id, ref_exec_id=busted)
    for size in range(1, len(desk.log()) + 1):
        with two_sets_of_tables.transaction(force_rollback=True), two_sets_of_tables.cursor() as cursor:
            apply_all(cursor, "cut", desk.log(), [size] * len(desk.log()))
            rows = cursor.execute("select exec_id, position from cut_trades.fills where not counts").fetchall()
            found.append(all_rows(cursor, "cut"))
        assert dict(rows) == {"b0": 2, "late": 3, "corrected": 6, "b1": 7, "busted": 7, "b2": 8, "b3": 9, "c1": 9}
    assert all(rows == found[0] for rows in found)


def test_every_table_has_a_primary_key_and_says_from_which_event_a_row_is_as_it_is(module_database_url: str) -> None:
    with psycopg.connect(module_database_url) as connection, tables_of_their_own(connection, "key") as cursor:
        ours = {(f"key_{one.name}", table) for one in PROJECTIONS for table in tables_in(cursor, f"key_{one.name}")}
        keyed = cursor.execute(
            "select table_schema, table_name from information_schema.table_constraints"
            " where constraint_type = 'PRIMARY KEY'"
        ).fetchall()
        placed = cursor.execute(
            "select table_schema, table_name from information_schema.columns"
            " where column_name = 'position' and data_type = 'bigint' and is_nullable = 'NO'"
        ).fetchall()
    assert {schema for schema, _ in ours} == {f"key_{one.name}" for one in PROJECTIONS}
    assert ours <= set(keyed)
    assert ours <= set(placed)
