"""An order as the API's JSON shows it (the contract's order fields), and what an event adds to it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from orders.domain.events import ExecutionCorrected, OrderEvent, OrderExecuted
from orders.domain.instruments import Catalogue
from orders.domain.values import Delivery, OrderType, OrderView, OrdStatus, Side, Status, TimeInForce


class OrderResource(Struct, frozen=True, kw_only=True, gc=False):
    """`id` and `order_id` are the same value: existing clients read one or the other. Prices are decimal strings with
    the instrument's decimals, `average_price` with 8. `position` is that of the order's last event in the log."""

    id: UUID
    order_id: UUID
    client_order_id: str | None
    symbol: str
    instrument: str | None
    side: Side
    type: OrderType
    limit_price: str | None
    quantity: int
    time_in_force: TimeInForce
    status: Status
    ord_status: OrdStatus
    filled_quantity: int
    average_price: str | None
    delivery: Delivery
    created_at: datetime
    updated_at: datetime
    executed_at: datetime | None
    version: int
    position: int


def resource(
    order_id: UUID, view: OrderView, catalogue: Catalogue, *, version: int, position: int, updated_at: datetime
) -> OrderResource:
    price = view.limit_price
    return OrderResource(
        id=order_id,
        order_id=order_id,
        client_order_id=view.client_order_id,
        symbol=view.symbol,
        instrument=view.instrument,
        side=view.side,
        type=view.type,
        limit_price=None if price is None else printed(catalogue, view.symbol, price),
        quantity=view.quantity,
        time_in_force=view.time_in_force,
        status=view.status,
        ord_status=view.ord_status,
        filled_quantity=view.filled_quantity,
        average_price=None if view.average_price is None else f"{view.average_price:f}",
        delivery=view.delivery,
        created_at=view.created_at or updated_at,
        updated_at=updated_at,
        executed_at=view.executed_at,
        version=version,
        position=position,
    )


def told_beside(event: OrderEvent, catalogue: Catalogue) -> dict[str, Any]:
    """What the event tells beside the order after it, as the feed and other services hear it: of a fill or a correction
    its exec_id, last_quantity and last_price, of a bust or a correction its ref_exec_id, of others a reason."""
    told: dict[str, Any] = {name: getattr(event, name) for name in ("exec_id", "ref_exec_id") if hasattr(event, name)}
    if reason := getattr(event, "reason", None):
        told["reason"] = reason
    if isinstance(event, OrderExecuted | ExecutionCorrected):
        told["last_quantity"] = event.quantity
        told["last_price"] = printed(catalogue, event.after.symbol, event.price)
    return told


def printed(catalogue: Catalogue, symbol: str, price: Decimal) -> str:
    """The price with the instrument's decimals; as it is where the instrument left the catalogue."""
    instrument = catalogue.find(symbol)
    return instrument.printed(price) if instrument else f"{price:f}"
