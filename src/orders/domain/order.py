"""An order: its state, and how events change it.

The phase is derived: FILLED when what is filled reaches the quantity and no larger one may be under way, else what
closed the order, else OPEN. So a bust reopens, and a late fill completes, without a rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from orders.domain import events as e
from orders.domain.commands import Terms
from orders.domain.executions import NO_EXECUTIONS, Executions
from orders.domain.values import (
    Delivery,
    Evidence,
    OrderView,
    OrdStatus,
    Phase,
    Status,
    rounded_average,
)

_STATUS = {
    Phase.OPEN: Status.PLACED,
    Phase.FILLED: Status.EXECUTED,
    Phase.CANCELED: Status.CANCELED,
    Phase.EXPIRED: Status.EXPIRED,
    Phase.REJECTED: Status.REJECTED,
}
_ENDED = {
    Phase.FILLED: OrdStatus.FILLED,
    Phase.CANCELED: OrdStatus.CANCELED,
    Phase.EXPIRED: OrdStatus.EXPIRED,
    Phase.REJECTED: OrdStatus.REJECTED,
}


class PendingReplace(Struct, frozen=True, kw_only=True):
    request_id: UUID
    quantity: int
    limit_price: Decimal | None


class Order(Struct, frozen=True, kw_only=True):
    """`placed` are the terms as first asked for; `quantity` and `limit_price` are those in force."""

    id: UUID
    account: str
    placed: Terms
    quantity: int
    limit_price: Decimal | None
    created_at: datetime
    updated_at: datetime
    client_order_id: str | None = None
    executed_at: datetime | None = None
    version: int = 0
    closed: Phase | None = None
    closed_by: Evidence | None = None
    delivery: Delivery = Delivery.QUEUED
    attempts: int = 0  # started so far; the last one runs while SENDING
    failures: int = 0  # attempts that definitely failed since the order was last resumed
    worker: str | None = None  # who claimed the last attempt
    attempted_at: datetime | None = None
    in_doubt: frozenset[int] = frozenset()
    pending_cancel: UUID | None = None
    pending_replace: PendingReplace | None = None
    unheard: tuple[PendingReplace, ...] = ()  # ended with the order before the venue's word on them came; oldest first
    terms_id: UUID  # what the venue knows the terms in force by (FIX OrigClOrdID of the next request)
    venue_order_id: str | None = None
    executions: Executions = NO_EXECUTIONS
    leaves: int | None = None  # the least that the venue reported open; a bust, correction or replace makes it void

    @property
    def filled(self) -> int:
        return self.executions.quantity

    @property
    def phase(self) -> Phase:
        if self.filled >= self.quantity and (self.pending_replace is None or self._done_at_the_venue):
            return Phase.FILLED
        return self.closed or Phase.OPEN

    @property
    def _done_at_the_venue(self) -> bool:
        """Nothing is left there; between the old quantity and a larger one asked for, a fill is still on its way."""
        change = self.pending_replace
        return self.leaves == 0 and (change is None or not self.quantity < self.filled < change.quantity)

    def unheard_replace(self, request_id: UUID | None) -> PendingReplace | None:
        """The request of that id, where it ended with the order and nothing later was carried out since."""
        return next((change for change in self.unheard if change.request_id == request_id), None)

    @property
    def overfilled(self) -> bool:
        """More was filled than asked for, judged against the larger quantity while a replace is pending."""
        asked = self.quantity
        if self.pending_replace is not None:
            asked = max(asked, self.pending_replace.quantity)
        return self.filled > asked

    @property
    def status(self) -> Status:
        return _STATUS[self.phase]

    @property
    def ord_status(self) -> OrdStatus:
        """FIX 4.4 tag 39 by its precedence (volume 4, appendix D): the pending ones first."""
        phase = self.phase
        if phase is not Phase.OPEN:
            return _ENDED[phase]
        if self.pending_cancel is not None:
            return OrdStatus.PENDING_CANCEL
        if self.pending_replace is not None:
            return OrdStatus.PENDING_REPLACE
        if self.filled > 0:
            return OrdStatus.PARTIALLY_FILLED
        return OrdStatus.NEW if self.delivery is Delivery.ACKED else OrdStatus.PENDING_NEW

    @property
    def lives_unwanted(self) -> bool:
        """It ended as never placed, and the venue turns out to have it: it must be canceled there."""
        ended = self.phase in (Phase.CANCELED, Phase.EXPIRED)
        return ended and self.closed_by is Evidence.NEVER_PLACED and self.delivery is Delivery.ACKED


def view(order: Order) -> OrderView:
    """The order as clients see it."""
    placed = order.placed
    return OrderView(
        account=order.account,
        symbol=placed.traded,
        instrument=placed.instrument,
        quantity=order.quantity,
        side=placed.side,
        type=placed.type,
        client_order_id=order.client_order_id,
        limit_price=order.limit_price,
        time_in_force=placed.time_in_force,
        filled_quantity=order.filled,
        average_price=rounded_average(order.executions.notional, order.filled),
        status=order.status,
        ord_status=order.ord_status,
        delivery=order.delivery,
        created_at=order.created_at,
        executed_at=order.executed_at,
    )


def fold(order_id: UUID, events: Iterable[e.OrderEvent], order: Order | None = None) -> Order | None:
    """The order after the events; None where there were none."""
    for event in events:
        order = evolve(order_id, order, event)
    return order


def evolve(order_id: UUID, order: Order | None, event: e.OrderEvent) -> Order:
    """The order after the event. Total: every event is legal here, `decide` has judged."""
    if order is None:
        return _placed(order_id, event)
    changed = replace(order, version=order.version + 1, updated_at=event.at, **_CHANGES[type(event)](order, event))
    if changed.phase is not Phase.OPEN:
        asked = changed.pending_replace
        unheard = changed.unheard if asked is None else (*changed.unheard, asked)
        changed = replace(changed, pending_cancel=None, pending_replace=None, unheard=unheard)
    # Only now: without the replace that was pending, an order that closed may be filled.
    executed_at = (order.executed_at or event.at) if changed.phase is Phase.FILLED else None
    return changed if changed.executed_at == executed_at else replace(changed, executed_at=executed_at)


def _placed(order_id: UUID, event: e.OrderEvent) -> Order:
    after = event.after
    return Order(
        id=order_id,
        account=after.account,
        client_order_id=after.client_order_id,
        placed=Terms(
            symbol=after.symbol if after.instrument is None else None,
            instrument=after.instrument,
            quantity=after.quantity,
            side=after.side,
            type=after.type,
            limit_price=after.limit_price,
            time_in_force=after.time_in_force,
        ),
        quantity=after.quantity,
        limit_price=after.limit_price,
        created_at=event.at,
        updated_at=event.at,
        terms_id=order_id,
        version=1,
    )


_AT_VENUE: dict[str, Any] = {"delivery": Delivery.ACKED, "in_doubt": frozenset()}
_Change = dict[str, Any]


def _submit_started(order: Order, event: e.SubmitStarted) -> _Change:
    return {
        "delivery": Delivery.SENDING,
        "attempts": event.attempt,
        "worker": event.worker,
        "attempted_at": event.at,
    }


def _submit_failed(order: Order, event: e.SubmitFailed) -> _Change:
    in_doubt = order.in_doubt.difference(event.attempts)
    sent = event.evidence is not Evidence.NEVER_SENT
    failed: _Change = {"in_doubt": in_doubt, "failures": order.failures + sent}
    runs_on = order.delivery is Delivery.SENDING and order.attempts not in event.attempts
    if order.delivery is Delivery.ACKED or runs_on:
        return failed
    return {**failed, "delivery": Delivery.IN_DOUBT if in_doubt else Delivery.QUEUED}


def _submit_in_doubt(order: Order, event: e.SubmitInDoubt) -> _Change:
    if order.delivery is Delivery.ACKED:
        return {}
    return {"in_doubt": order.in_doubt | {event.attempt}, "delivery": Delivery.IN_DOUBT}


def _accepted(order: Order, event: e.OrderAccepted) -> _Change:
    return {**_AT_VENUE, "venue_order_id": event.venue_order_id or order.venue_order_id}


def _rejected(order: Order, event: e.OrderRejected) -> _Change:
    return {**_AT_VENUE, "closed": Phase.REJECTED, "closed_by": event.evidence}


def _executed(order: Order, event: e.OrderExecuted) -> _Change:
    executions = order.executions.filled(event.exec_id, event.quantity, event.price)
    changed: _Change = {**_AT_VENUE, "executions": executions}
    if event.leaves is None or not executions.counts(event.exec_id):
        return changed
    return {**changed, "leaves": event.leaves if order.leaves is None else min(order.leaves, event.leaves)}


def _busted(order: Order, event: e.ExecutionBusted) -> _Change:
    return {**_AT_VENUE, "executions": order.executions.busted(event.exec_id, event.ref_exec_id), "leaves": None}


def _corrected(order: Order, event: e.ExecutionCorrected) -> _Change:
    corrected = order.executions.corrected(event.exec_id, event.ref_exec_id, event.quantity, event.price)
    return {**_AT_VENUE, "executions": corrected, "leaves": None}


def _closing(phase: Phase) -> Callable[[Order, Any], _Change]:
    def closed(order: Order, event: e.OrderCanceled | e.OrderExpired) -> _Change:
        proof = {} if event.evidence is Evidence.NEVER_PLACED else _AT_VENUE
        return {**proof, "closed": phase, "closed_by": event.evidence}

    return closed


def _refused(pending: str) -> Callable[[Order, Any], _Change]:
    """A report of the refusal proves that the venue has the order; the answer to a call may be "unknown order"."""

    def refused(order: Order, event: e.CancelRejected | e.ReplaceRejected) -> _Change:
        proof = _AT_VENUE if event.evidence in (Evidence.VENUE_REPORT, Evidence.VENUE_QUERY) else {}
        return {**proof, pending: None}

    return refused


def _replace_requested(order: Order, event: e.ReplaceRequested) -> _Change:
    asked = PendingReplace(request_id=event.event_id, quantity=event.quantity, limit_price=event.limit_price)
    return {"pending_replace": asked}


def _replaced(order: Order, event: e.OrderReplaced) -> _Change:
    """The venue's own change of terms, without a request, leaves a request that waits as it is; so does an older
    request. Older ones than that which was carried out are forgotten: a repeat of them must not take its terms back."""
    terms: _Change = {"quantity": event.quantity, "limit_price": event.limit_price, "leaves": None}
    if order.pending_replace is not None and event.request_id == order.pending_replace.request_id:
        terms |= {"pending_replace": None, "unheard": ()}
    elif (late := order.unheard_replace(event.request_id)) is not None:
        terms["unheard"] = order.unheard[order.unheard.index(late) + 1 :]
    if event.evidence is Evidence.NEVER_PLACED:
        return terms
    return {**_AT_VENUE, **terms, "terms_id": event.request_id or order.terms_id}


def _operator_resolved(order: Order, event: e.OperatorResolved) -> _Change:
    if event.placed:
        return dict(_AT_VENUE)
    return {"delivery": Delivery.QUEUED, "in_doubt": frozenset()}


_CHANGES: dict[type[e.OrderEvent], Callable[[Order, Any], _Change]] = {
    e.OrderPlaced: lambda order, event: {},
    e.SubmitStarted: _submit_started,
    e.SubmitFailed: _submit_failed,
    e.SubmitInDoubt: _submit_in_doubt,
    e.OrderAccepted: _accepted,
    e.OrderRejected: _rejected,
    e.OrderExecuted: _executed,
    e.ExecutionBusted: _busted,
    e.ExecutionCorrected: _corrected,
    e.CancelRequested: lambda order, event: {"pending_cancel": event.event_id},
    e.OrderCanceled: _closing(Phase.CANCELED),
    e.CancelRejected: _refused("pending_cancel"),
    e.ReplaceRequested: _replace_requested,
    e.OrderReplaced: _replaced,
    e.ReplaceRejected: _refused("pending_replace"),
    e.OrderExpired: _closing(Phase.EXPIRED),
    e.PlacementParked: lambda order, event: {"delivery": Delivery.PARKED},
    e.PlacementResumed: lambda order, event: {"delivery": Delivery.QUEUED, "failures": 0},
    e.OperatorResolved: _operator_resolved,
}
