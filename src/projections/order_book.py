"""The price levels of open limit orders.

Beside the levels stands what each order rests at, so that a step needs no more than the batch: the database knows what
to take out of a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec import Struct

from orders.domain import events as e
from orders.domain.instruments import Instrument
from orders.domain.values import EXACT, OrderType, Side, Status
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.projection import Change, Projection, Row

NAME = "order_book"
_SQL = load("projections", "order_book.sql")
_MOVES = (
    e.OrderPlaced,
    e.OrderExecuted,
    e.ExecutionBusted,
    e.ExecutionCorrected,
    e.OrderReplaced,
    e.OrderCanceled,
    e.OrderRejected,
    e.OrderExpired,
)
"""After no other event an order rests at another price, with another quantity, or no more."""


class Level(Struct, frozen=True):
    """The open quantity of `orders` orders at one price."""

    price: str
    quantity: int
    orders: int


class Book(Struct, frozen=True, kw_only=True):
    """Best price first on both sides."""

    symbol: str
    position: int
    bids: list[Level]
    asks: list[Level]


def book_of(instrument: Instrument, position: int, levels: Iterable[tuple[str | None, Decimal, int, int]]) -> Book:
    """From levels as (side, price, quantity, orders), in order; a side of None is no level."""
    sides: dict[str, list[Level]] = {Side.BUY.value: [], Side.SELL.value: []}
    for side, price, quantity, orders in levels:
        if side is not None:
            sides[side].append(Level(instrument.printed(price), quantity, orders))
    return Book(symbol=instrument.symbol, position=position, bids=sides[Side.BUY], asks=sides[Side.SELL])


def step(batch: Sequence[Recorded]) -> list[Change]:
    """What limit orders rest at after their events, in the order of the log."""
    states = [
        _state(recorded, recorded.event)
        for recorded in batch
        if isinstance(recorded.event, _MOVES) and recorded.event.after.type is OrderType.LIMIT
    ]
    return [Change("rest", states)]


def _state(recorded: Recorded, event: e.OrderEvent) -> Row:
    """A quantity of 0: it does not rest. One price is one level, however many zeros it ends in."""
    after = event.after
    price, left = None, 0
    if after.status is Status.PLACED and after.limit_price is not None:
        price, left = after.limit_price.normalize(EXACT), max(after.quantity - after.filled_quantity, 0)
    return (recorded.stream_id, recorded.position, after.account, after.symbol, after.side.value, price, left)


ORDER_BOOK = Projection(name=NAME, sql=_SQL, step=step)
