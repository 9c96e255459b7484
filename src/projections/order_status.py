"""One row an order, as it is after its last event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from psycopg import Cursor

from orders.domain.events import OrderEvent, OrderPlaced
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.bounds import APPLY_ROWS
from projections.errors import MissingRow
from projections.projection import Projection

NAME = "order_status"
_SQL = load("projections", "order_status.sql")
_Row = tuple[Any, ...]
T = TypeVar("T")


def rows(batch: Sequence[Recorded]) -> tuple[list[_Row], list[_Row]]:
    """The rows that the batch places and those that it changes: of each order the state after its last event."""
    placed: dict[UUID, int] = {}
    last: dict[UUID, Recorded] = {}
    for recorded in batch:
        if isinstance(recorded.event, OrderPlaced):
            placed[recorded.stream_id] = recorded.position
        if isinstance(recorded.event, OrderEvent):
            last[recorded.stream_id] = recorded
    new = [_placed(recorded, placed[order_id]) for order_id, recorded in last.items() if order_id in placed]
    changed = [_changed(recorded) for order_id, recorded in last.items() if order_id not in placed]
    return new, changed


def apply(cursor: Cursor[Any], batch: Sequence[Recorded]) -> None:
    """Raises MissingRow where an order changes that was never placed: the rows are not those of this log."""
    new, changed = rows(batch)
    for part in chunks(new):
        cursor.execute(_SQL["place"], columns(part), prepare=True)
    for part in chunks(changed):
        cursor.execute(_SQL["change"], columns(part), prepare=True)
        if cursor.rowcount != len(part):
            found = {order_id for (order_id,) in cursor.fetchall()}
            raise MissingRow(NAME, [row[0] for row in part if row[0] not in found])


def chunks(all_rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(all_rows)
    while part := list(islice(remaining, APPLY_ROWS)):
        yield part


def columns(part: Sequence[_Row]) -> list[list[Any]]:
    """An array a column, as unnest takes them."""
    return [list(column) for column in zip(*part, strict=True)]


def _placed(recorded: Recorded, placed_position: int) -> _Row:
    event = recorded.event
    assert isinstance(event, OrderEvent)
    after = event.after
    return (
        recorded.stream_id,
        placed_position,
        recorded.position,
        recorded.version,
        after.account,
        after.client_order_id,
        after.symbol,
        after.instrument,
        after.side.value,
        after.type.value,
        after.limit_price,
        after.quantity,
        after.time_in_force.value,
        after.status.value,
        after.ord_status.value,
        after.filled_quantity,
        after.average_price,
        after.delivery.value,
        after.created_at or event.at,
        event.at,
        after.executed_at,
    )


def _changed(recorded: Recorded) -> _Row:
    event = recorded.event
    assert isinstance(event, OrderEvent)
    after = event.after
    return (
        recorded.stream_id,
        recorded.position,
        recorded.version,
        after.limit_price,
        after.quantity,
        after.status.value,
        after.ord_status.value,
        after.filled_quantity,
        after.average_price,
        after.delivery.value,
        event.at,
        after.executed_at,
    )


ORDER_STATUS = Projection(name=NAME, sql=_SQL, apply=apply)
