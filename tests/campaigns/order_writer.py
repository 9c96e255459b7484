"""Appends the histories of many orders straight to a log, as fast as is asked.

    python -m tests.campaigns.order_writer URL SEED EVENTS PER_SECOND SYMBOLS

Orders are placed, sent, filled in parts, canceled, replaced; some fills are busted or corrected. The domain decides
each step. It ends after so many events (0: never), and may be killed at any moment.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, OrderType, Side
from orders.eventstore.port import EventStore, Unit
from orders.eventstore.postgres import PostgresEventStore
from tests.support.known_executions import known_executions

BATCH_UNITS = 50  # an append; one unit of an order at most is in it
OPEN_ORDERS = 500  # that histories go on with; older ones rest as they are
NEW_SHARE = 0.4
CAPABLE = Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True, reports=True)


def codes(count: int) -> list[str]:
    """Instrument codes of 12 characters, which the built-in catalogue takes."""
    return [f"CAMPAIGN{number:04d}" for number in range(count)]


class OrderWriter:
    """`rng` makes ids, too: two writers with one seed would place the same orders."""

    def __init__(self, rng: random.Random, instruments: list[str]) -> None:
        self._rng = rng
        self._instruments = instruments
        self._rules = Rules(venue=CAPABLE)
        self._open: list[Order] = []

    def units(self, count: int) -> list[Unit]:
        """The next steps of as many orders, each of another; the orders are taken for appended."""
        steps: list[Unit] = []
        stepped: list[Order] = []
        self._rng.shuffle(self._open)
        known = iter(self._open[:count])
        kept = self._open[count:]
        while len(steps) < count:
            order = None if self._rng.random() < NEW_SHARE else next(known, None)
            if (step := self._step(order)) is not None:
                unit, after = step
                steps.append(unit)
                stepped.append(after)
        self._open = [*kept, *known, *stepped][-OPEN_ORDERS:]
        return steps

    def _step(self, order: Order | None) -> tuple[Unit, Order] | None:
        command = self._place() if order is None else self._next(order)
        try:
            events = decide(order, command, self._rules)
        except Refusal:
            return None
        if not events:
            return None
        unit = Unit(command.order_id, 0 if order is None else order.version, tuple(events))
        for event in events:
            order = evolve(command.order_id, order, event)
        assert order is not None
        return unit, order

    def _place(self) -> c.Command:
        rng = self._rng
        terms: dict[str, Any] = {"side": rng.choice(list(Side)), "quantity": rng.randint(2, 1_000)}
        if rng.random() < 0.5:
            terms |= {"type": OrderType.LIMIT, "limit_price": self._price()}
        asked = c.Terms(instrument=rng.choice(self._instruments), **terms)
        return c.PlaceOrder(account="local", terms=asked, **self._who(self._id()))

    def _next(self, order: Order) -> c.Command:
        rng, who = self._rng, self._who(order.id)
        filled = [exec_id for exec_id, one in known_executions(order.executions).items() if one.counts]
        match rng.choices(("fill", "cancel", "submit", "replace", "bust", "correct"), (60, 12, 10, 8, 5, 5))[0]:
            case "cancel":
                return c.CancelOrder(**who)
            case "submit":
                return c.StartSubmit(worker="campaign", **who)
            case "replace":
                return c.ReplaceOrder(quantity=order.quantity + rng.randint(1, 50), **who)
            case "bust" if filled:
                return c.RecordBust(exec_id=str(self._id()), ref_exec_id=rng.choice(filled), **who)
            case "correct" if filled:
                return c.RecordCorrection(
                    exec_id=str(self._id()), ref_exec_id=rng.choice(filled), quantity=1, price=self._price(), **who
                )
        left = max(1, order.quantity - order.filled)
        return c.RecordExecution(exec_id=str(self._id()), quantity=rng.randint(1, left), price=self._price(), **who)

    def _who(self, order_id: UUID) -> dict[str, Any]:
        return {"order_id": order_id, "command_id": self._id(), "at": datetime.now(UTC), "by": "campaign"}

    def _id(self) -> UUID:
        return UUID(int=self._rng.getrandbits(128), version=4)

    def _price(self) -> Decimal:
        return Decimal(self._rng.randint(9_000, 11_000)).scaleb(-2)


def write(store: EventStore, writer: OrderWriter, *, events: int, per_second: float) -> None:
    """Appends at that pace, without an end where `events` is 0."""
    began_at, written, never = time.monotonic(), 0, threading.Event()
    while events == 0 or written < events:
        steps = writer.units(BATCH_UNITS)
        store.append(steps)
        written += sum(len(step.events) for step in steps)
        never.wait(max(0.0, began_at + written / per_second - time.monotonic()))


def main(url: str, seed: str, events: str, per_second: str, symbols: str) -> None:
    store = PostgresEventStore(url, application_name="campaign writer")
    writer = OrderWriter(random.Random(seed), codes(int(symbols)))
    write(store, writer, events=int(events), per_second=float(per_second))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
