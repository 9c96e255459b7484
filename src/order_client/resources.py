"""What the service answers, as structs: prices are Decimal, times datetime in UTC.

Fields that a newer service adds are ignored, and words such as a status are plain text, so that it does not break this
client.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct


class Order(Struct, frozen=True, kw_only=True):
    """An order after its event at `position`. `status`: Placed, Executed, Canceled, Rejected or Expired; `ord_status`
    is FIX 4.4's name (tag 39); `delivery`: queued, sending, acked, in_doubt or parked. `side`: buy or sell."""

    order_id: UUID
    client_order_id: str | None
    symbol: str
    instrument: str | None
    side: str
    type: str
    limit_price: Decimal | None
    quantity: int
    time_in_force: str
    status: str
    ord_status: str
    filled_quantity: int
    average_price: Decimal | None
    delivery: str
    created_at: datetime
    updated_at: datetime
    executed_at: datetime | None
    version: int
    position: int


class Change(Struct, frozen=True):
    """What became of a cancel or a replace. `pending`: the exchange has not answered yet and may still refuse; the
    order's later messages or `get` tell how it ended."""

    order: Order
    pending: bool


class FieldChange(Struct, frozen=True):
    """A field of an order before and after an event, as JSON shows it."""

    before: Any
    after: Any


class HistoryEvent(Struct, frozen=True, kw_only=True):
    """One event of an order, and the order's state after it. `by` is who caused it, `evidence` by what it may say that
    something ended or is settled, `reason` why in words, `fields` the event's own, `changed` what it changed."""

    position: int
    version: int
    event: str
    event_id: UUID
    at: datetime
    by: str
    trace_id: str | None
    evidence: str | None
    status: str
    ord_status: str
    filled_quantity: int
    delivery: str
    fields: dict[str, Any]
    reason: str | None = None
    changed: dict[str, FieldChange] = {}


class Trade(Struct, frozen=True, kw_only=True):
    """A fill that counts. `corrects` is the exec_id of the fill whose place it took. What its order has traded in all
    stands beside it: quantity, and average price."""

    exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: str
    quantity: int
    price: Decimal
    time: datetime
    position: int
    corrects: str | None
    order_traded_quantity: int
    order_average_price: Decimal | None


class Level(Struct, frozen=True):
    """The open quantity of `orders` orders at one price."""

    price: Decimal
    quantity: int
    orders: int


class Book(Struct, frozen=True, kw_only=True):
    """The open limit orders of a symbol by price, as they were after `position`; best price first on both sides."""

    symbol: str
    position: int
    bids: list[Level]
    asks: list[Level]


class Instrument(Struct, frozen=True, kw_only=True):
    """A named symbol; or, where `symbol` is None, the rule for every instrument code that matches `code_pattern`."""

    symbol: str | None
    code_pattern: str | None
    decimals: int
    tick_size: Decimal
    lot_size: int
