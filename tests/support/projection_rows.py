"""What the projections' tables hold, beside what the orders' streams fold to."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Cursor

from orders.domain.events import OrderEvent
from orders.domain.instruments import BUILT_IN
from orders.domain.order import fold, view
from orders.domain.resource import OrderResource, resource
from orders.eventstore.port import Recorded
from orders.follower import read_checkpoint
from projections.projection import Projection
from projections.reads import shown_order
from projections.registry import PROJECTIONS
from tests.support.known_executions import known_executions
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until


def position_of(url: str, projection: Projection) -> int:
    with psycopg.connect(url) as connection:
        checkpoint = read_checkpoint(connection, projection.name)
    return checkpoint.position if checkpoint else 0


def wait_for_rows(url: str, projection: Projection, position: int) -> None:
    wait_until(lambda: position_of(url, projection) >= position, what=f"{projection.name} at {position}")


def tables_in(cursor: Cursor[Any], schema: str) -> list[str]:
    """The tables of a projection's schema, `reached` left out."""
    tables = cursor.execute("select tablename from pg_tables where schemaname = %s order by 1", [schema]).fetchall()
    return [name for (name,) in tables if name != "reached"]


def rows_in(cursor: Cursor[Any], schema: str, table: str) -> set[tuple[Any, ...]]:
    return set(cursor.execute(f"select * from {schema}.{table}").fetchall())


def all_rows(cursor: Cursor[Any], schema: str) -> dict[str, list[str]]:
    """Everything in the tables of all projections, whose schemas are named `schema` and their names, as texts: a price
    with other zeros at its end is another row, as it is to a digest."""
    found = {}
    for projection in PROJECTIONS:
        for table in tables_in(cursor, f"{schema}_{projection.name}"):
            rows = cursor.execute(f"select one::text from {schema}_{projection.name}.{table} as one order by 1")
            found[f"{projection.name}.{table}"] = [text for (text,) in rows.fetchall()]
    return found


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
        for exec_id, execution in known_executions(order.executions).items()
        if execution.counts
    }
