"""What the projections' tables should hold: one event after the other, with dictionaries and no eye on speed.

Each function returns rows as the tables have them, in the order of their columns, each table's as a set.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from orders.domain import events as e
from orders.domain.values import EXACT, OrderType, OrderView
from orders.eventstore.port import Recorded

Rows = set[tuple[Any, ...]]
Fill = tuple[UUID, str]
Sums = defaultdict[str, Any]


def naive_book(log: Sequence[Recorded]) -> dict[str, Rows]:
    resting: dict[UUID, tuple[Any, ...]] = {}
    levels: dict[tuple[Any, ...], set[UUID]] = {}
    touched: dict[tuple[Any, ...], int] = {}
    positions: dict[UUID, int] = {}
    for recorded, event in _orders(log):
        before, now = resting.get(recorded.stream_id), _rests_at(event.after)
        if before == now:
            continue
        positions[recorded.stream_id] = recorded.position
        for state, add in ((before, False), (now, True)):
            if state is None:
                continue
            level = state[:4]
            touched[level] = recorded.position
            (levels.setdefault(level, set()).add if add else levels[level].remove)(recorded.stream_id)
        if now is None:
            del resting[recorded.stream_id]
        else:
            resting[recorded.stream_id] = now
    return {
        "resting": {(order_id, positions[order_id], *state) for order_id, state in resting.items()},
        "levels": {
            (*level, touched[level], sum(resting[one][4] for one in orders), len(orders))
            for level, orders in levels.items()
            if orders
        },
    }


def _rests_at(after: OrderView) -> tuple[Any, ...] | None:
    """Account, symbol, side, price and open quantity of an order that rests."""
    left = after.quantity - after.filled_quantity
    if after.type is not OrderType.LIMIT or after.limit_price is None or after.status.value != "Placed" or left <= 0:
        return None
    return (after.account, after.symbol, after.side.value, after.limit_price, left)


def naive_order_trades(log: Sequence[Recorded]) -> Rows:
    counted = counted_fills(log)
    rows = {}
    for recorded, event in _orders(log):
        if isinstance(event, e.OrderExecuted | e.ExecutionBusted | e.ExecutionCorrected):
            fills = [fill for (order_id, _), fill in counted.items() if order_id == recorded.stream_id]
            with localcontext(EXACT):
                notional = sum(fill.quantity * fill.price for fill in fills)
            quantity = sum(fill.quantity for fill in fills)
            rows[recorded.stream_id] = (recorded.position, event.after.account, event.after.symbol, quantity, notional)
    return {(order_id, *row) for order_id, row in rows.items()}


def naive_positions(log: Sequence[Recorded]) -> Rows:
    sums: dict[tuple[str, str], Sums] = {}
    positions: dict[tuple[str, str], int] = {}
    for recorded, event in _orders(log):
        if isinstance(event, e.OrderExecuted | e.ExecutionBusted | e.ExecutionCorrected):
            key = (event.after.account, event.after.symbol)
            positions[key] = recorded.position
            sums[key] = defaultdict(int)
    for fill in counted_fills(log).values():
        total = sums[fill.after.account, fill.after.symbol]
        total[fill.after.side.value] += fill.quantity
        with localcontext(EXACT):
            total[f"{fill.after.side.value} notional"] += fill.quantity * fill.price
    return {
        (*key, positions[key], total["buy"], total["buy notional"], total["sell"], total["sell notional"])
        for key, total in sums.items()
    }


def naive_days(log: Sequence[Recorded]) -> dict[tuple[Any, ...], Sums]:
    """By account, symbol and day: the counts, sums and the position."""
    days: dict[tuple[Any, ...], Sums] = {}

    def at(event: e.OrderEvent, day: date, recorded: Recorded) -> Sums:
        found = days.setdefault((event.after.account, event.after.symbol, day), defaultdict(int))
        found["position"] = recorded.position
        return found

    endings: dict[UUID, tuple[str, date]] = {}
    fill_days: dict[Fill, date] = {}
    void: set[Fill] = set()
    sizes: dict[Fill, tuple[int, Decimal]] = {}
    for recorded, event in _orders(log):
        order_id, today, status = recorded.stream_id, event.at.date(), event.after.status.value
        if isinstance(event, e.OrderPlaced):
            at(event, today, recorded)["placed"] += 1
        before, day = endings.get(order_id, ("Placed", today))
        if status != before:
            if before != "Placed":
                at(event, day, recorded)[before] -= 1
            if status != "Placed":
                at(event, today, recorded)[status] += 1
            endings[order_id] = (status, today)
        if isinstance(event, e.ExecutionBusted | e.ExecutionCorrected):
            referred = (order_id, event.ref_exec_id)
            if referred in fill_days:
                summed = at(event, fill_days[referred], recorded)
                if referred not in void:
                    _count(summed, sizes[referred], -1)
            void.add(referred)
        if isinstance(event, e.OrderExecuted | e.ExecutionCorrected):
            key = (order_id, event.exec_id)
            corrected = (order_id, event.ref_exec_id) if isinstance(event, e.ExecutionCorrected) else key
            fill_days[key] = fill_days.get(corrected, today)
            sizes[key] = (event.quantity, event.price)
            summed = at(event, fill_days[key], recorded)
            if key not in void:
                _count(summed, sizes[key], 1)
    return days


def _count(summed: Sums, size: tuple[int, Decimal], times: int) -> None:
    quantity, price = size
    summed["fills"] += times
    summed["quantity"] += times * quantity
    with localcontext(EXACT):
        summed["notional"] += times * quantity * price


def counted_fills(log: Sequence[Recorded]) -> dict[Fill, e.OrderExecuted | e.ExecutionCorrected]:
    """The fills that no other report of their order refers to."""
    fills: dict[Fill, e.OrderExecuted | e.ExecutionCorrected] = {}
    void: set[Fill] = set()
    for recorded, event in _orders(log):
        if isinstance(event, e.OrderExecuted | e.ExecutionCorrected):
            fills[recorded.stream_id, event.exec_id] = event
        if isinstance(event, e.ExecutionBusted | e.ExecutionCorrected):
            void.add((recorded.stream_id, event.ref_exec_id))
    return {key: fill for key, fill in fills.items() if key not in void}


def _orders(log: Sequence[Recorded]) -> Iterator[tuple[Recorded, e.OrderEvent]]:
    for recorded in log:
        if isinstance(recorded.event, e.OrderEvent):
            yield recorded, recorded.event
