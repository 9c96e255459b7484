"""A matrix of FIX 4.4 volume 4 appendix D as lines that are played against the domain.

A line is one message, what it makes happen here, and the order as a report tells it afterwards: OrdStatus (tag 39),
OrderQty (38), CumQty (14), LeavesQty (151) and AvgPx (6). Requests carry their letters as in the appendix: `cancel("Y",
"X")` has ClOrdID Y and OrigClOrdID X, where X is the order itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

import pytest
from msgspec.structs import replace as changed

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve, view
from orders.domain.terms import Rules
from orders.domain.values import Evidence, OrderType, OrdStatus, Phase, Status
from tests.support.given import CAPABLE
from tests.support.order_events import OPENING, ORDER_ID, PRICE

NOTHING = "-"
SIMPLE = {
    OrdStatus.FILLED: Status.EXECUTED,
    OrdStatus.CANCELED: Status.CANCELED,
    OrdStatus.EXPIRED: Status.EXPIRED,
    OrdStatus.REJECTED: Status.REJECTED,
}
"""The status for everyone; an order in any other OrdStatus is Placed."""

Shown = tuple[OrdStatus, Status, int, int, int, Decimal | None]


@dataclass(frozen=True)
class Message:
    """A client's request, or what the venue says, as the command that it becomes."""

    command: type[c.Command]
    fields: Mapping[str, Any] = field(default_factory=dict)
    cl_ord_id: str | None = None
    orig_cl_ord_id: str | None = None
    tells_leaves: bool = False  # as tag 151 of the line it stands in


@dataclass(frozen=True)
class Line:
    """`happens`: the names of the events, or the refusal. `status` None: there is no such order."""

    message: Message
    happens: str | type[Refusal]
    status: OrdStatus | None = None
    quantity: int = 0
    filled: int = 0
    leaves: int = 0
    average: Decimal | None = None

    def shows(self) -> Shown | None:
        if self.status is None:
            return None
        average = self.average if self.average is not None or not self.filled else PRICE
        simple = SIMPLE.get(self.status, Status.PLACED)
        return (self.status, simple, self.quantity, self.filled, self.leaves, average)


@dataclass(frozen=True)
class Row:
    """`ref`: the number in FIX 4.2, where it has one, and that in FIX 4.4. `differs`: how we differ, on purpose."""

    ref: str
    title: str
    lines: tuple[Line, ...]
    variant: str = ""
    differs: str = ""
    venue_can: Mapping[str, bool] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.ref}-{self.variant}".replace(" ", "-") if self.variant else self.ref


def line(
    message: Message,
    happens: str | type[Refusal],
    status: OrdStatus | None = None,
    quantity: int = 0,
    filled: int = 0,
    leaves: int = 0,
    average: str | None = None,
) -> Line:
    return Line(message, happens, status, quantity, filled, leaves, None if average is None else Decimal(average))


def play(row: Row) -> None:
    """Each line happens as it says, and its last event tells the order as the line does."""
    rules = Rules(venue=changed(CAPABLE, **row.venue_can))
    order: Order | None = None
    for number, played in enumerate(row.lines, start=1):
        where = f"{row.id}, line {number}: {row.title}"
        events = _happens(order, played, number, rules, where)
        for event in events:
            order = evolve(ORDER_ID, order, event)
        assert _shown(order) == played.shows(), where
        assert order is None or not events or view(order) == events[-1].after, where


def _happens(order: Order | None, played: Line, number: int, rules: Rules, where: str) -> list[e.AnyOrderEvent]:
    command = _command(played, number)
    if not isinstance(played.happens, str):
        with pytest.raises(played.happens):
            decide(order, command, rules)
        return []
    orig = played.message.orig_cl_ord_id
    assert order is None or orig is None or order.terms_id == cl_ord_id(orig), f"{where}: OrigClOrdID is not {orig}"
    events = decide(order, command, rules)
    assert (" ".join(map(e.event_name, events)) or NOTHING) == played.happens, where
    return events


def _command(played: Line, number: int) -> c.Command:
    message = played.message
    fields = {**message.fields, "leaves": played.leaves} if message.tells_leaves else dict(message.fields)
    request_id = cl_ord_id(message.cl_ord_id or f"message {number}")
    at = OPENING + timedelta(seconds=number)
    return message.command(order_id=ORDER_ID, command_id=request_id, at=at, by="someone", **fields)


def _shown(order: Order | None) -> Shown | None:
    if order is None:
        return None
    seen = view(order)
    leaves = max(0, seen.quantity - seen.filled_quantity) if order.phase is Phase.OPEN else 0
    return (seen.ord_status, seen.status, seen.quantity, seen.filled_quantity, leaves, seen.average_price)


def cl_ord_id(letter: str) -> UUID:
    return ORDER_ID if letter == "X" else uuid5(ORDER_ID, letter)


# From the client


def new(quantity: int = 10_000, *, limit: str | None = None, **terms: Any) -> Message:
    if limit is not None:
        terms |= {"type": OrderType.LIMIT, "limit_price": Decimal(limit)}
    return Message(c.PlaceOrder, {"account": "local", "terms": c.Terms(symbol="EURUSD", quantity=quantity, **terms)})


def cancel(request: str, base: str) -> Message:
    return Message(c.CancelOrder, {}, request, base)


def replace(request: str, base: str, quantity: int | None = None, *, limit: str | None = None) -> Message:
    terms = {"quantity": quantity, "limit_price": None if limit is None else Decimal(limit)}
    return Message(c.ReplaceOrder, terms, request, base)


# To the venue, and what is known of the call


def sent() -> Message:
    return Message(c.StartSubmit, {"worker": "worker-1"})


def in_doubt(attempt: int = 1) -> Message:
    return Message(c.RecordSubmitInDoubt, {"attempt": attempt, "reason": "timeout"})


def not_there(*attempts: int, evidence: Evidence = Evidence.VENUE_ANSWER) -> Message:
    return Message(c.RecordSubmitFailed, {"attempts": attempts, "reason": "not found", "evidence": evidence})


# From the venue: the ExecType (tag 150) of its report, or an Order Cancel Reject


def acknowledged(evidence: Evidence = Evidence.VENUE_ANSWER) -> Message:
    return Message(c.RecordAccepted, {"venue_order_id": "V-1", "evidence": evidence})


def rejected() -> Message:
    return Message(c.RecordRejected, {"reason": "no such market"})


def trade(exec_id: str, quantity: int, price: str | Decimal = PRICE, *, tells_leaves: bool = True) -> Message:
    fields = {"exec_id": exec_id, "quantity": quantity, "price": Decimal(price)}
    return Message(c.RecordExecution, fields, tells_leaves=tells_leaves)


def trade_cancel(exec_id: str, ref: str) -> Message:
    return Message(c.RecordBust, {"exec_id": exec_id, "ref_exec_id": ref})


def trade_correct(exec_id: str, ref: str, quantity: int, price: str | Decimal = PRICE) -> Message:
    fields = {"exec_id": exec_id, "ref_exec_id": ref, "quantity": quantity, "price": Decimal(price)}
    return Message(c.RecordCorrection, fields)


def canceled(request: str | None = None, reason: str | None = None) -> Message:
    return Message(c.RecordCanceled, {"request_id": _named(request), "reason": reason})


def cancel_reject(request: str) -> Message:
    return Message(c.RecordCancelRejected, {"request_id": _named(request), "reason": "the exchange refused"})


def replaced(request: str | None, quantity: int, *, limit: str | None = None) -> Message:
    """Without a request: ExecType Restated, the venue's own change of terms."""
    price = None if limit is None else Decimal(limit)
    return Message(c.RecordReplaced, {"request_id": _named(request), "quantity": quantity, "limit_price": price})


def replace_reject(request: str) -> Message:
    return Message(c.RecordReplaceRejected, {"request_id": _named(request), "reason": "the exchange refused"})


def expired(reason: str) -> Message:
    return Message(c.RecordExpired, {"reason": reason})


def _named(request: str | None) -> UUID | None:
    return None if request is None else cl_ord_id(request)


# How nearly every matrix begins


def sending(quantity: int = 10_000, **terms: Any) -> tuple[Line, ...]:
    """New Order (X), on its way to the venue."""
    return (
        line(new(quantity, **terms), "OrderPlaced", OrdStatus.PENDING_NEW, quantity, 0, quantity),
        line(sent(), "SubmitStarted", OrdStatus.PENDING_NEW, quantity, 0, quantity),
    )


def working(quantity: int = 10_000, **terms: Any) -> tuple[Line, ...]:
    """New Order (X), Execution (X) New."""
    return (*sending(quantity, **terms), line(acknowledged(), "OrderAccepted", OrdStatus.NEW, quantity, 0, quantity))
