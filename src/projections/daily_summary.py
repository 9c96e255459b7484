"""What happened on each day (UTC) to the orders of each symbol.

An order counts on the day on which it was placed, and on the day on which it ended, in the way in which it has ended as
far as is known now: one that a bust opens again counts no more as executed. A fill counts on the day on which it was
reported; busts and corrections change that day, whenever they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.resource import printed
from orders.domain.values import rounded_average
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.projection import Change, Listing, Projection, Row

_TURNS = (
    e.OrderExecuted,
    e.ExecutionBusted,
    e.ExecutionCorrected,
    e.OrderCanceled,
    e.OrderRejected,
    e.OrderExpired,
    e.ReplaceRequested,
    e.OrderReplaced,
    e.ReplaceRejected,
)
"""After no other event an order's status is another one, but for its placing."""

_Report = e.OrderExecuted | e.ExecutionBusted | e.ExecutionCorrected


class DailySummary(Struct, frozen=True, kw_only=True):
    """Orders placed on the day, orders that ended on it, and its fills: traded quantity, exact notional (the sum of
    quantity times price), and prices; `average_price` is rounded half-even to 8 places. Prices are null without fills.
    """

    day: date
    symbol: str
    orders_placed: int
    orders_executed: int
    orders_canceled: int
    orders_rejected: int
    orders_expired: int
    fills: int
    traded_quantity: int
    traded_notional: str
    average_price: str | None
    open_price: str | None
    high_price: str | None
    low_price: str | None
    close_price: str | None
    position: int


class _Fill(Struct):
    """What a batch tells of one fill; `counts` until another report refers to it."""

    position: int
    event: _Report
    day: date | None = None
    reported_at: int | None = None
    in_place_of: str | None = None
    quantity: int = 0
    price: Decimal = Decimal(0)
    counts: bool = True


_Fills = dict[tuple[UUID, str], _Fill]


def step(batch: Sequence[Recorded]) -> list[Change]:
    placed: dict[tuple[str, str, date], tuple[int, int]] = {}
    turns: list[Row] = []
    fills: _Fills = {}
    for recorded in batch:
        event = recorded.event
        if isinstance(event, e.OrderPlaced):
            day = (event.after.account, event.after.symbol, _day(event))
            placed[day] = (recorded.position, placed.get(day, (0, 0))[1] + 1)
        elif isinstance(event, _TURNS):
            turns.append(_state(recorded, event))
            if isinstance(event, _Report):
                _tell(fills, recorded, event)
    days = [(*day, *counted) for day, counted in placed.items()]
    rows = [_row(key, fill) for key, fill in fills.items()]
    return [Change("place", days), Change("end", turns), Change("fill", rows)]


def _state(recorded: Recorded, event: e.OrderEvent) -> Row:
    after = event.after
    return (recorded.stream_id, recorded.position, after.account, after.symbol, _day(event), after.status.value)


def _tell(fills: _Fills, recorded: Recorded, event: _Report) -> None:
    """A fill is reported once in the log; a report that refers to it may come before it."""
    order_id = recorded.stream_id
    if not isinstance(event, e.ExecutionBusted):
        fill = fills.setdefault((order_id, event.exec_id), _Fill(recorded.position, event))
        fill.position, fill.quantity, fill.price = recorded.position, event.quantity, event.price
        fill.day, fill.reported_at = _day(event), recorded.position
    if not isinstance(event, e.OrderExecuted):
        referred = fills.setdefault((order_id, event.ref_exec_id), _Fill(recorded.position, event))
        referred.position, referred.counts = recorded.position, False
        if isinstance(event, e.ExecutionCorrected):
            _take_place(fill, referred, event.ref_exec_id)


def _take_place(fill: _Fill, corrected: _Fill, exec_id: str) -> None:
    if corrected.day is None:
        fill.in_place_of = exec_id  # an earlier batch may have reported it
    else:
        fill.day, fill.reported_at = corrected.day, corrected.reported_at
        fill.in_place_of = corrected.in_place_of


def _row(key: tuple[UUID, str], fill: _Fill) -> Row:
    after = fill.event.after
    of_day = (after.account, after.symbol, fill.day, fill.reported_at, fill.in_place_of)
    return (*key, fill.position, *of_day, fill.quantity, fill.price, fill.counts)


def _day(event: e.OrderEvent) -> date:
    return event.at.astimezone(UTC).date()


def _shown(row: tuple[Any, ...], catalogue: Catalogue) -> DailySummary:
    day, symbol, placed, executed, canceled, rejected, expired, fills, quantity, notional, *prices, position = row
    average = rounded_average(notional, quantity)
    opened, high, low, closed = (None if price is None else printed(catalogue, symbol, price) for price in prices)
    return DailySummary(
        day=day,
        symbol=symbol,
        orders_placed=placed,
        orders_executed=executed,
        orders_canceled=canceled,
        orders_rejected=rejected,
        orders_expired=expired,
        fills=fills,
        traded_quantity=quantity,
        traded_notional=f"{notional:f}",
        average_price=None if average is None else f"{average:f}",
        open_price=opened,
        high_price=high,
        low_price=low,
        close_price=closed,
        position=position,
    )


DAILY_SUMMARY = Projection(
    name="daily_summary",
    sql=load("projections", "daily_summary.sql"),
    step=step,
    listing=Listing(
        path="/daily-summaries", summary="Orders and fills by day and symbol", row=DailySummary, shown=_shown
    ),
)
