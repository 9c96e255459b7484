"""What the feed tells of the log: each message is a pure function of one event.

What a client asked for is a `Subscription`; what the log brings is an `Entry`; what of it goes to a client is a
`Telling`, which is made once, when the first client wants it, and shared by all that hear the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import getsizeof
from uuid import UUID

from msgspec import Struct

from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.values import OrderType
from orders.eventstore.port import Recorded
from orders.http import LOCAL_ACCOUNT
from projections.feed_messages import TradeEvent, order_message, text_of, trade_message, with_more

ORDERS = "orders"
TRADES = "trades"
BOOKS = "books"
CHANNELS = (ORDERS, TRADES, BOOKS)
"""The channels that a client may name."""

Circle = tuple[str, UUID | str | None]
"""Whom an entry may concern: those of an account that want all, or one symbol, or one order."""


class Subscription(Struct, frozen=True, kw_only=True):
    """What a client wants. `detail`: also what is between, such as accepted, pending, in doubt, parked. `after`: first
    everything after that position. `batch`: several messages may come at once."""

    account: str = LOCAL_ACCOUNT
    channels: frozenset[str] = frozenset({ORDERS})
    symbol: str | None = None
    order_id: UUID | None = None
    detail: bool = False
    after: int | None = None
    batch: bool = False

    @property
    def circle(self) -> Circle:
        """By what the client filters most narrowly."""
        return self.account, self.order_id or self.symbol

    @property
    def shows_books(self) -> bool:
        """Books are of symbols: who wants one order only sees them where it names a symbol too."""
        return BOOKS in self.channels and (self.order_id is None or self.symbol is not None)

    @property
    def replays(self) -> bool:
        """Whether anything of what it wants is in the log: books are not."""
        return self.channels != {BOOKS}


class Telling(Struct, frozen=True):
    """Messages of one position, which go to a client together; `size_bytes` is what they take in memory."""

    position: int
    texts: tuple[str, ...]
    size_bytes: int


def telling(position: int, *texts: str) -> Telling:
    return Telling(position, texts, sum(map(getsizeof, texts)))


def control(message: Struct, position: int) -> Telling:
    """Of a message that is of no event, such as a heartbeat."""
    return telling(position, text_of(message))


class Entry:
    """An event of an order, with what clients filter by. `moves_book`: the levels of its symbol may be others after
    it."""

    __slots__ = (
        "_both",
        "_catalogue",
        "_event",
        "_order",
        "_recorded",
        "_trade",
        "account",
        "detail",
        "moves_book",
        "order_id",
        "position",
        "symbol",
    )

    def __init__(self, recorded: Recorded, event: e.OrderEvent, catalogue: Catalogue) -> None:
        self.position = recorded.position
        self.order_id = recorded.stream_id
        self.account = event.after.account
        self.symbol = event.after.symbol
        self.detail = not isinstance(event, e.TOLD_TO_CLIENTS)
        self.moves_book = not self.detail and event.after.type is OrderType.LIMIT
        self._recorded = recorded
        self._event = event
        self._catalogue = catalogue
        self._order: Telling | None = None
        self._trade: Telling | None = None
        self._both: Telling | None = None

    @property
    def circles(self) -> tuple[Circle, ...]:
        """Nobody outside of them hears of it."""
        return (self.account, None), (self.account, self.symbol), (self.account, self.order_id)

    def telling(self, wanted: Subscription) -> Telling | None:
        """What a client hears of the event; None where that is nothing."""
        if (
            (wanted.symbol is not None and wanted.symbol != self.symbol)
            or (wanted.order_id is not None and wanted.order_id != self.order_id)
            or wanted.account != self.account
        ):
            return None
        orders = ORDERS in wanted.channels and (wanted.detail or not self.detail)
        if TRADES in wanted.channels and isinstance(self._event, TradeEvent):
            return self._told_twice() if orders else self._told_as_trade(self._event)
        return self._told_as_order() if orders else None

    def _told_as_order(self) -> Telling:
        if self._order is None:
            text = text_of(order_message(self._recorded, self._event, self._catalogue))
            self._order = telling(self.position, text)
        return self._order

    def _told_as_trade(self, event: TradeEvent) -> Telling:
        if self._trade is None:
            self._trade = telling(self.position, text_of(trade_message(self._recorded, event, self._catalogue)))
        return self._trade

    def _told_twice(self) -> Telling:
        assert isinstance(self._event, TradeEvent)
        if self._both is None:
            (order,), (trade,) = self._told_as_order().texts, self._told_as_trade(self._event).texts
            self._both = telling(self.position, with_more(order), trade)
        return self._both


def entries(batch: Iterable[Recorded], catalogue: Catalogue) -> Iterator[Entry]:
    """What the feed has to tell of a batch of the log, in order."""
    for recorded in batch:
        if isinstance(recorded.event, e.OrderEvent):
            yield Entry(recorded, recorded.event, catalogue)
