"""An order as the API's JSON shows it (the contract's order fields)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

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


def printed(catalogue: Catalogue, symbol: str, price: Decimal) -> str:
    """The price with the instrument's decimals; as it is where the instrument left the catalogue."""
    instrument = catalogue.find(symbol)
    return instrument.printed(price) if instrument else f"{price:f}"
