"""Given events, when a command comes, then events: the sentence in which the specs of an order are written.

given(placed(), started()).when(c.CancelOrder).then(cancel_requested()).and_the_order_is(ord_status=...)
given(placed(), started()).when(c.ResumePlacement).refuses(NotApplicable, "is open and sending, not parked")
"""

from dataclasses import dataclass
from dataclasses import replace as changed
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.instruments import BUILT_IN, Catalogue
from orders.domain.order import Order, evolve, fold, view
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, OrderView
from tests.support.order_events import COMMAND_ID, OPENING, ORDER_ID, PRICE

CAPABLE = Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True, reports=True)
NOW = OPENING + timedelta(minutes=1)

USUALLY: dict[type[c.Command], dict[str, Any]] = {
    c.PlaceOrder: {"account": "local", "terms": c.Terms(symbol="EURUSD", quantity=10)},
    c.CancelOrder: {},
    c.ReplaceOrder: {"quantity": 20},
    c.StartSubmit: {"worker": "worker-1"},
    c.RecordSubmitFailed: {"attempts": (1,), "reason": "refused"},
    c.RecordSubmitInDoubt: {"attempt": 1, "reason": "timeout"},
    c.RecordAccepted: {"venue_order_id": "V-1"},
    c.RecordRejected: {"reason": "no such market"},
    c.RecordCanceled: {},
    c.RecordCancelRejected: {"reason": "too busy"},
    c.RecordReplaced: {"quantity": 20},
    c.RecordReplaceRejected: {"reason": "too busy"},
    c.RecordExecution: {"exec_id": "fill", "quantity": 4, "price": PRICE},
    c.RecordBust: {"exec_id": "bust", "ref_exec_id": "fill"},
    c.RecordCorrection: {"exec_id": "correction", "ref_exec_id": "fill", "quantity": 5, "price": Decimal("1.20")},
    c.RecordExpired: {},
    c.ExpireUnsent: {},
    c.ParkPlacement: {"reason": "8 failed attempts"},
    c.ResumePlacement: {"reason": "mended"},
    c.ResolveDoubt: {"placed": True, "reason": "asked by phone"},
}
"""What each command says where the spec does not care."""


@dataclass(frozen=True)
class Given:
    """An order's history, at a venue that can do everything unless told otherwise."""

    history: tuple[e.OrderEvent, ...]
    rules: Rules

    def at_a_venue(self, **can: Any) -> "Given":
        return changed(self, rules=replace(self.rules, venue=replace(self.rules.venue, **can)))

    def trading(self, catalogue: Catalogue) -> "Given":
        return changed(self, rules=replace(self.rules, catalogue=catalogue))

    def when(self, command: type[c.Command], **fields: Any) -> "When":
        said = {"by": "someone", "trace_id": "trace-1", **USUALLY[command], **fields}
        return When(
            fold(ORDER_ID, self.history), command(order_id=ORDER_ID, command_id=COMMAND_ID, at=NOW, **said), self.rules
        )

    def the_order_is(self, **expected: Any) -> None:
        order = fold(ORDER_ID, self.history)
        assert order is not None
        _compare(order, expected)


@dataclass(frozen=True)
class When:
    order: Order | None
    command: c.Command
    rules: Rules

    def then(self, *expected: e.OrderEvent) -> "Then":
        """Exactly these events, each telling truly who, when, and the order after it."""
        events = decide(self.order, self.command, self.rules)
        assert [_said(event) for event in events] == [_said(event) for event in expected]
        order = self.order
        for event in events:
            order = evolve(ORDER_ID, order, event)
            assert event.after == view(order), f"{e.event_name(event)} tells another order than the one after it"
            assert (event.at, event.by, event.trace_id) == (NOW, self.command.by, self.command.trace_id)
        assert len({event.event_id for event in events}) == len(events)
        assert not events or events[0].event_id == self.command.command_id
        return Then(order)

    def nothing_happens(self) -> None:
        self.then()

    def refuses(self, refusal: type[Refusal], text: str) -> Refusal:
        """`text` is a part of what the client is told."""
        with pytest.raises(Refusal) as refused:
            decide(self.order, self.command, self.rules)
        assert type(refused.value) is refusal
        assert text in str(refused.value)
        return refused.value


@dataclass(frozen=True)
class Then:
    order: Order | None

    def and_the_order_is(self, **expected: Any) -> None:
        assert self.order is not None
        _compare(self.order, expected)


def given(*history: e.OrderEvent) -> Given:
    return Given(history, Rules(catalogue=BUILT_IN, venue=CAPABLE))


def _said(event: e.OrderEvent) -> e.OrderEvent:
    """The event's own words, without who, when and the order after it."""
    nobody = OrderView(account="", symbol="", quantity=0)
    return replace(event, event_id=ORDER_ID, at=OPENING, by="", trace_id=None, after=nobody)


def _compare(order: Order, expected: dict[str, Any]) -> None:
    assert {name: getattr(order, name) for name in expected} == expected
