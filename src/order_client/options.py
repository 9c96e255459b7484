"""The keyword arguments that the clients of both forms take, and what of them goes to the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Required, TypedDict
from uuid import UUID

OrderId = UUID | str
AsOf = int | datetime


class Terms(TypedDict, total=False):
    """An order: `symbol`, or `instrument` for a 12-character code. `side`: buy, if not given, or sell; `type`: limit
    where there is a price, else market; `time_in_force`: gtc, day, ioc or fok. A price may be a text like "1.08"."""

    quantity: Required[int]
    symbol: str | None
    instrument: str | None
    side: str
    type: str | None
    limit_price: Decimal | str | None
    time_in_force: str | None


class KeyedTerms(Terms, total=False):
    """An order of many, with its own key; without one it gets a key of the client's."""

    client_order_id: str | None


class NewTerms(TypedDict, total=False):
    """`quantity` is the new total, what is filled included."""

    quantity: int | None
    limit_price: Decimal | str | None


class OneOrder(TypedDict, total=False):
    """`as_of`: as it was after a position, or at a time. `min_position`: in place of what the client has seen."""

    as_of: AsOf | None
    min_position: int | None


class OrderFilters(TypedDict, total=False):
    """`limit`: at most so many orders in all. `as_of`: as they were after a position."""

    status: str | None
    symbol: str | None
    side: str | None
    client_order_id: str | None
    placed_after: datetime | None
    placed_before: datetime | None
    as_of: int | None
    limit: int | None
    min_position: int | None


class TradeFilters(TypedDict, total=False):
    """`limit`: at most so many trades in all."""

    order_id: OrderId | None
    symbol: str | None
    limit: int | None
    min_position: int | None


class StreamOptions(TypedDict, total=False):
    """`channels`: orders, if not given, trades, books. `detail`: also what is between, such as accepted or pending.
    `batch`: let frames carry many messages, true if not given. `caught_up`: also say when what comes is live.
    `give_up_after_s`: of trying to resume, without end if not given. `on_lost` is called with a reason each time that
    the connection is lost."""

    channels: Sequence[str]
    symbol: str | None
    order_id: OrderId | None
    detail: bool
    batch: bool
    caught_up: bool
    give_up_after_s: float | None
    on_lost: Callable[[str], None] | None
