"""The price levels of open limit orders.

No table of its own: a partial index over the orders that rest gives the best levels directly, and the book can then
not disagree with the orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from orders.domain.instruments import Instrument
from orders.domain.values import Side


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
