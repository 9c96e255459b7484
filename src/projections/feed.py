"""The messages of the feed: each a pure function of one event.

What a client asked for is a `Subscription`; what the log brings is an `Entry`, whose text is made once, when the first
client wants it, and shared by all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

import msgspec
from msgspec import Struct

from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.eventstore.port import Recorded
from projections.feed_messages import OrderMessage, order_message

ORDERS = "orders"
CHANNELS = (ORDERS,)
"""The channels that a client may name."""

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


def message(recorded: Recorded, catalogue: Catalogue) -> OrderMessage | None:
    """What the feed tells of an event; None where it is no event of an order."""
    event = recorded.event
    return order_message(recorded, event, catalogue) if isinstance(event, e.OrderEvent) else None


def caught_up(position: int) -> str:
    """Everything up to here was sent; from now on it is live."""
    return _encoder.encode({"type": "caught_up", "position": position}).decode()


def heartbeat(position: int) -> str:
    """Nothing for this client came up to here."""
    return _encoder.encode({"type": "heartbeat", "position": position}).decode()
