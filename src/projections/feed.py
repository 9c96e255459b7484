"""The messages of the feed: each a pure function of one event.

What a client asked for is a `Subscription`; what the log brings is an `Entry`, whose text is made once, when the first
client wants it, and shared by all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.values import Delivery, OrderType, OrdStatus, Side, Status
from orders.eventstore.port import Recorded
from projections.reads import printed

ORDERS = "orders"
CHANNELS = (ORDERS,)
"""The channels that a client may name."""

_FILLS = (e.OrderExecuted, e.ExecutionCorrected)
_TOLD_TO_ALL = (
    e.OrderPlaced,
    e.OrderExecuted,
    e.OrderReplaced,
    e.OrderCanceled,
    e.OrderRejected,
    e.OrderExpired,
    e.ExecutionBusted,
    e.ExecutionCorrected,
)


class FeedMessage(Struct, frozen=True, kw_only=True):
    """The order after the event at `position`; `event` is that event's name. The last fields stand only where the event
    has them: of a fill or correction its exec_id, quantity and price, of a bust or correction what it refers to."""

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


class Subscription(Struct, frozen=True, kw_only=True):
    """What a client wants. `detail`: also what is between, such as accepted, pending, in doubt, parked. `after`: first
    everything after that position."""

    channels: frozenset[str] = frozenset({ORDERS})
    symbol: str | None = None
    order_id: UUID | None = None
    detail: bool = False
    after: int | None = None

    def wants(self, entry: Entry) -> bool:
        return (
            (self.detail or not entry.detail)
            and (self.symbol is None or self.symbol == entry.symbol)
            and (self.order_id is None or self.order_id == entry.order_id)
            and entry.channel in self.channels
        )


class Entry:
    """One message with what clients filter by. Its text is made when the first client wants it."""

    __slots__ = ("_catalogue", "_recorded", "_text", "channel", "detail", "order_id", "position", "symbol")

    def __init__(self, channel: str, recorded: Recorded, event: e.OrderEvent, catalogue: Catalogue) -> None:
        self.channel = channel
        self.position = recorded.position
        self.order_id = recorded.stream_id
        self.symbol = event.after.symbol
        self.detail = not isinstance(event, _TOLD_TO_ALL)
        self._recorded = recorded
        self._catalogue = catalogue
        self._text = ""

    @property
    def text(self) -> str:
        if not self._text:
            self._text = _encoder.encode(message(self._recorded, self._catalogue)).decode()
        return self._text


_encoder = msgspec.json.Encoder()


def entries(batch: Iterable[Recorded], catalogue: Catalogue) -> Iterator[Entry]:
    """What the feed has to tell of a batch of the log, in order."""
    for recorded in batch:
        if isinstance(recorded.event, e.OrderEvent):
            yield Entry(ORDERS, recorded, recorded.event, catalogue)


def message(recorded: Recorded, catalogue: Catalogue) -> FeedMessage | None:
    """What the feed tells of an event; None where it is no event of an order."""
    event = recorded.event
    if not isinstance(event, e.OrderEvent):
        return None
    after = event.after
    fill = event if isinstance(event, _FILLS) else None
    price = after.limit_price
    return FeedMessage(
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
        exec_id=getattr(event, "exec_id", UNSET),
        ref_exec_id=getattr(event, "ref_exec_id", UNSET),
        last_quantity=fill.quantity if fill else UNSET,
        last_price=printed(catalogue, after.symbol, fill.price) if fill else UNSET,
        reason=getattr(event, "reason", None) or UNSET,
    )


def caught_up(position: int) -> str:
    """Everything up to here was sent; from now on it is live."""
    return _encoder.encode({"type": "caught_up", "position": position}).decode()


def heartbeat(position: int) -> str:
    """Nothing for this client came up to here."""
    return _encoder.encode({"type": "heartbeat", "position": position}).decode()
