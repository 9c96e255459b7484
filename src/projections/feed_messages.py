"""The messages of the feed, as they go out over /ws and as the data of /events.

A message of the channel `orders` has the field `event`, and its `type` is the order's, market or limit; every other
message is told apart by a `type` of its own. Later releases may add fields and types: clients ignore what they do not
know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.resource import printed, told_beside
from orders.domain.values import Delivery, OrderType, OrdStatus, Side, Status
from orders.eventstore.port import Recorded
from projections.order_book import Level

TradeEvent = e.OrderExecuted | e.ExecutionBusted | e.ExecutionCorrected


class OrderMessage(Struct, frozen=True, kw_only=True):
    """Channel `orders`: the order after the event at `position`; `event` is that event's name. The last fields stand
    only where the event has them: of a fill or correction its exec_id, quantity and price, of a bust or correction what
    it refers to. `more` stands, and is true, only where another message of the same position follows for this client:
    resume after the position of the last message without it."""

    event: str
    order_id: UUID
    client_order_id: str | None
    status: Status
    ord_status: OrdStatus
    symbol: str
    instrument: str | None
    side: Side
    type: OrderType
    limit_price: str | None
    quantity: int
    filled_quantity: int
    average_price: str | None
    delivery: Delivery
    version: int
    position: int
    time: datetime
    exec_id: str | UnsetType = UNSET
    ref_exec_id: str | UnsetType = UNSET
    last_quantity: int | UnsetType = UNSET
    last_price: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    more: bool | UnsetType = UNSET


class TradeMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="trade"):
    """Channel `trades`: a fill, as the venue reported it. Within an order each exec_id comes once."""

    exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: Side
    quantity: int
    price: str
    time: datetime
    position: int


class TradeBusted(Struct, frozen=True, kw_only=True, tag_field="type", tag="trade_busted"):
    """Channel `trades`: the fill `ref_exec_id` of this order never counted (FIX ExecType H)."""

    exec_id: str
    ref_exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: Side
    time: datetime
    position: int


class TradeCorrected(Struct, frozen=True, kw_only=True, tag_field="type", tag="trade_corrected"):
    """Channel `trades`: `exec_id` takes the place of the fill `ref_exec_id` of this order, with this quantity and price
    (FIX ExecType G)."""

    exec_id: str
    ref_exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: Side
    quantity: int
    price: str
    time: datetime
    position: int


class BookMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="book"):
    """Channel `books`: the open limit orders of a symbol by price, as they were after `position`; best price first. A
    snapshot takes the place of the one before; it is not replayed."""

    symbol: str
    position: int
    bids: list[Level]
    asks: list[Level]


class CaughtUp(Struct, frozen=True, kw_only=True, tag_field="type", tag="caught_up"):
    """Everything for this client up to `position` was sent; what follows is live."""

    position: int


class Heartbeat(Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """Nothing more for this client came up to `position`; it may resume from there. Only to clients that gave a
    position."""

    position: int


class FellBehind(Struct, frozen=True, kw_only=True, tag_field="type", tag="fell_behind"):
    """The client reads more slowly than messages come: it is served from the log from `position` on, at its own speed,
    and hears caught_up again. Nothing is lost. Only to clients that gave a position."""

    position: int


class Closed(Struct, frozen=True, kw_only=True, tag_field="type", tag="closed"):
    """The last message of /events, as an event of the name `closed`: what a close code and its reason are on /ws.
    Resume after `position`."""

    code: int
    reason: str
    position: int


MESSAGES = (
    OrderMessage,
    TradeMessage,
    TradeBusted,
    TradeCorrected,
    BookMessage,
    CaughtUp,
    Heartbeat,
    FellBehind,
    Closed,
)
"""All that a client may receive; `Closed` over /events only."""


def order_message(recorded: Recorded, event: e.OrderEvent, catalogue: Catalogue) -> OrderMessage:
    after = event.after
    price = after.limit_price
    return OrderMessage(
        event=e.event_name(event),
        order_id=recorded.stream_id,
        client_order_id=after.client_order_id,
        status=after.status,
        ord_status=after.ord_status,
        symbol=after.symbol,
        instrument=after.instrument,
        side=after.side,
        type=after.type,
        limit_price=None if price is None else printed(catalogue, after.symbol, price),
        quantity=after.quantity,
        filled_quantity=after.filled_quantity,
        average_price=None if after.average_price is None else f"{after.average_price:f}",
        delivery=after.delivery,
        version=recorded.version,
        position=recorded.position,
        time=event.at,
        **told_beside(event, catalogue),
    )


def trade_message(
    recorded: Recorded, event: TradeEvent, catalogue: Catalogue
) -> TradeMessage | TradeBusted | TradeCorrected:
    after = event.after
    told: dict[str, Any] = {
        "exec_id": event.exec_id,
        "order_id": recorded.stream_id,
        "client_order_id": after.client_order_id,
        "symbol": after.symbol,
        "side": after.side,
        "time": event.at,
        "position": recorded.position,
    }
    if isinstance(event, e.ExecutionBusted):
        return TradeBusted(ref_exec_id=event.ref_exec_id, **told)
    told |= {"quantity": event.quantity, "price": printed(catalogue, after.symbol, event.price)}
    if isinstance(event, e.ExecutionCorrected):
        return TradeCorrected(ref_exec_id=event.ref_exec_id, **told)
    return TradeMessage(**told)


def text_of(message: Struct) -> str:
    """The message as JSON, without line breaks."""
    return _encoder.encode(message).decode()


def with_more(text: str) -> str:
    """The text of an order's message, saying that another one of the same position follows."""
    return f'{text[:-1]},"more":true}}'


_encoder = msgspec.json.Encoder()
