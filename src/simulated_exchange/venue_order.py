"""One order as the venue knows it."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from simulated_exchange.house import decimals_of
from simulated_exchange.prices import format_price, parse_price
from simulated_exchange.protocol import Liquidity, OrderType, Side, State, Terms, TimeInForce


class Fill(NamedTuple):
    seq: int
    at: int
    quantity: int
    price: int
    liquidity: Liquidity


class VenueOrder(Struct, eq=False, gc=False):
    """Changed in place by the state alone. Prices are scaled integers. It refers to nothing that refers back,
    so the garbage collector need not walk over the millions of them."""

    number: int  # 1..N in order of arrival, rejected ones included
    order_id: str
    venue_order_id: str | None
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    submitted_quantity: int
    submitted_price: int | None
    quantity: int
    price: int | None
    terms_id: str
    first_seq: int
    last_seq: int
    state: State = "working"
    reason: str | None = None
    filled: int = 0
    in_book: bool = False
    house_due: int | None = None
    expires_at: int | None = None
    fills: list[Fill] | None = None

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled if self.state == "working" else 0

    @property
    def resting_price(self) -> int:
        if self.price is None:
            raise ValueError(f"order {self.order_id} has no price to rest at")
        return self.price

    @property
    def limit_text(self) -> str | None:
        return self.price_text(self.price)

    def price_text(self, price: int | None) -> str | None:
        return None if price is None else format_price(price, decimals_of(self.symbol))


def order_of(report: Terms, number: int) -> VenueOrder:
    """A new order from the report that accepted or rejected it."""
    price = None if report.limit_price is None else parse_price(report.limit_price)
    return VenueOrder(
        number=number,
        order_id=report.order_id,
        venue_order_id=report.venue_order_id,
        symbol=report.symbol,
        side=report.side,
        type=report.type,
        time_in_force=report.time_in_force,
        submitted_quantity=report.quantity,
        submitted_price=price,
        quantity=report.quantity,
        price=price,
        terms_id=report.order_id,
        first_seq=report.seq,
        last_seq=report.seq,
    )
