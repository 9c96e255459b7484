"""What is held, however much, costs the adapters' looks of each second nothing: they read by index what they want."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from exchange_adapter.alert_board import PostgresAlertBoard
from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import MAX_ALERTS_COUNTED
from orders.eventstore.sql import load
from orders.shards import SHARDS

HELD, WORKABLE = 20_000, 40

DUTIES = """
insert into adapter_duties (order_id, shard, since_position, position, version, delivery, attempts, failures,
    pending_cancel, pending_replace, unwanted, symbol)
select gen_random_uuid(), i %% 64, i, i, 3, case when i %% %(every)s = 0 then 'queued' else %(held)s end, 1, 0,
    false, false, false, 'EURUSD'
from generate_series(1, %(rows)s) as i
"""
ALERTS = """
insert into adapter_alerts (kind, key, opened_at, last_at, position, detail)
select 'order_held', i::text, now(), now() - interval '1 day', i, 'd' from generate_series(1, %(rows)s) as i
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def rows_read(connection: psycopg.Connection, statement: str, **parameters: Any) -> int:
    """Of tables and indexes, in all parts of the plan."""
    row = connection.execute(f"explain (analyze, format json) {statement}", parameters).fetchone()  # type: ignore[call-overload]
    assert row is not None
    plans, read = [row[0][0]["Plan"]], 0
    while plans:
        plan = plans.pop()
        plans += plan.get("Plans", [])
        if "Relation Name" in plan and "Scan" in plan["Node Type"]:
            read += (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return int(read)


@pytest.mark.parametrize("held", ["in_doubt", "parked"])
def test_due_orders_are_read_without_those_that_are_held(connection: psycopg.Connection, held: str) -> None:
    connection.execute(DUTIES, {"rows": HELD, "held": held, "every": HELD // WORKABLE})
    connection.execute("analyze adapter_duties")
    plain_venue = {"doubts_go_on": False, "cancels": False}
    read = rows_read(
        connection,
        load("exchange_adapter.work", "duties.sql")["due"],
        shards=list(range(SHARDS)),
        now=datetime.now(UTC),
        limit=10_000,
        after=0,
        since=None,
        **plain_venue,
    )
    assert read == WORKABLE


def test_looks_at_alerts_do_not_read_all_that_are_open(connection: psycopg.Connection) -> None:
    connection.execute(ALERTS, {"rows": HELD})
    connection.execute("analyze adapter_alerts")
    sql, nothing = load("exchange_adapter", "alerts.sql"), list[object]()
    own = dict.fromkeys(("kind", "key", "opened_at", "last_at", "detail", "times"), nothing)
    assert rows_read(connection, sql["tell_own"], worker="w", **own) == 0
    assert rows_read(connection, sql["end_gone"], worker="w") == 0
    assert rows_read(connection, sql["end_quiet"], kinds=["late_fill"], quiet_since=datetime.now(UTC)) == 0


def test_alerts_of_a_kind_are_counted_up_to_a_bound(connection: psycopg.Connection, database_url: str) -> None:
    connection.execute(ALERTS, {"rows": HELD})
    board = PostgresAlertBoard(database_url, "w")
    opened = board.open()
    board.close()
    assert {kind: one.alerts for kind, one in opened.items()} == {AlertKind.ORDER_HELD: MAX_ALERTS_COUNTED}
