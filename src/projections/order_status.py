"""One row an order, as it is after its last event."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from orders.domain.events import OrderEvent, OrderPlaced
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.projection import Change, Projection, Row

NAME = "order_status"
_SQL = load("projections", "order_status.sql")


def step(batch: Sequence[Recorded]) -> list[Change]:
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
    # An order that changes without a row was never placed: the rows are not those of this log.
    return [Change("place", new), Change("change", changed, every_row=True)]


def _placed(recorded: Recorded, placed_position: int) -> Row:
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


def _changed(recorded: Recorded) -> Row:
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


ORDER_STATUS = Projection(name=NAME, sql=_SQL, step=step)
