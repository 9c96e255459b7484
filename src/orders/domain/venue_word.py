"""What the venue's answers and reports make happen.

Its word wins; a repeat, or what comes too late to matter, is no event.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import NotApplicable
from orders.domain.order import Order
from orders.domain.story import Story
from orders.domain.values import Delivery, Phase


def _start_submit(story: Story, command: c.StartSubmit) -> None:
    """A first attempt from the queue, a further one while in doubt only where the venue tells repeats apart (or the
    operator takes the risk, where it cannot be asked either), and while a cancel is held only where neither a query nor
    the cancel itself can settle the doubt."""
    order, venue = story.order, story.venue
    unwanted = order.pending_cancel is not None and (venue.queries or venue.cancels)
    resend = order.delivery is Delivery.IN_DOUBT and (venue.deduplicates or venue.resends_blindly) and not unwanted
    if order.phase is not Phase.OPEN or not (order.delivery is Delivery.QUEUED or resend):
        raise NotApplicable(f"order {order.id} is {order.phase.value} and {order.delivery.value}: nothing to send")
    story.tell(e.SubmitStarted, attempt=order.attempts + 1, worker=command.worker)


def _submit_failed(story: Story, command: c.RecordSubmitFailed) -> None:
    attempts = tuple(sorted(_unsettled(story.order).intersection(command.attempts)))
    if attempts:
        story.tell(e.SubmitFailed, attempts=attempts, reason=command.reason, evidence=command.evidence)


def _unsettled(order: Order) -> frozenset[int]:
    """The attempts that may be at the venue, or come there."""
    return order.in_doubt | ({order.attempts} if order.delivery is Delivery.SENDING else set())


def _submit_in_doubt(story: Story, command: c.RecordSubmitInDoubt) -> None:
    order = story.order
    if order.delivery is Delivery.SENDING and command.attempt == order.attempts:
        story.tell(e.SubmitInDoubt, attempt=command.attempt, reason=command.reason)


def _accepted(story: Story, command: c.RecordAccepted) -> None:
    """News where a fill came first, too, if it brings the venue's id of the order; once."""
    names = story.order.venue_order_id is None and command.venue_order_id is not None
    if names or story.order.delivery is not Delivery.ACKED:
        story.tell(e.OrderAccepted, venue_order_id=command.venue_order_id, evidence=command.evidence)


def _rejected(story: Story, command: c.RecordRejected) -> None:
    """Where the venue takes each attempt for another order, the refusal of one says nothing of the others."""
    order, attempt = story.order, command.attempt
    if attempt is not None and not story.venue.deduplicates:
        unsettled = _unsettled(order)
        if unsettled - {attempt}:
            if attempt in unsettled:
                story.tell(e.SubmitFailed, attempts=(attempt,), reason=command.reason, evidence=command.evidence)
            return
        if order.delivery is Delivery.ACKED and order.attempts > 1:
            return
    if _may_end(story):
        story.tell(e.OrderRejected, reason=command.reason, evidence=command.evidence)


def _may_end(story: Story) -> bool:
    """An order that lives unwanted ends a second time: then it is known to be gone from the venue too."""
    return story.order.phase is Phase.OPEN or story.order.lives_unwanted


def _may_close(story: Story) -> bool:
    """A full order stays executed, but whatever reopens it (a bust, a late replace) must find it closed."""
    order = story.order
    return _may_end(story) or (order.phase is Phase.FILLED and order.closed is None)


def _canceled(story: Story, command: c.RecordCanceled) -> None:
    if _may_close(story):
        story.tell(e.OrderCanceled, evidence=command.evidence, reason=command.reason, request_id=command.request_id)


def _cancel_rejected(story: Story, command: c.RecordCancelRejected) -> None:
    if _answers(story.order.pending_cancel, command.request_id):
        story.tell(
            e.CancelRejected,
            evidence=command.evidence,
            reason=command.reason,
            request_id=story.order.pending_cancel,
        )


def _replaced(story: Story, command: c.RecordReplaced) -> None:
    """The answer to our request, or the venue's own change.

    A request that ended with the order, unheard, is answered late. Any other that does not wait was answered before.
    """
    order = story.order
    pending, terms = order.pending_replace, (command.quantity, command.limit_price)
    request_id = command.request_id if command.request_id is not None else _asked_for(order, terms)
    late = order.unheard_replace(request_id) is not None
    if request_id is None:
        news = order.phase is Phase.OPEN and terms != (order.quantity, order.limit_price)
    else:
        news = late or (pending is not None and request_id == pending.request_id)
    if news:
        story.tell(
            e.OrderReplaced,
            quantity=command.quantity,
            limit_price=command.limit_price,
            evidence=command.evidence,
            request_id=request_id,
            late=late,
        )


def _asked_for(order: Order, terms: tuple[int, Decimal | None]) -> UUID | None:
    """Where the venue names no request: the newest one without an answer that asked for just these terms."""
    waiting = order.unheard if order.pending_replace is None else (*order.unheard, order.pending_replace)
    same = (change.request_id for change in reversed(waiting) if (change.quantity, change.limit_price) == terms)
    return next(same, None)


def _replace_rejected(story: Story, command: c.RecordReplaceRejected) -> None:
    pending = story.order.pending_replace
    if pending is not None and _answers(pending.request_id, command.request_id):
        story.tell(
            e.ReplaceRejected,
            evidence=command.evidence,
            reason=command.reason,
            request_id=pending.request_id,
        )


def _answers(pending: UUID | None, request_id: UUID | None) -> bool:
    return pending is not None and request_id in (pending, None)


def _executed(story: Story, command: c.RecordExecution) -> None:
    if not story.order.executions.knows(command.exec_id):
        story.tell(
            e.OrderExecuted,
            exec_id=command.exec_id,
            quantity=command.quantity,
            price=command.price,
            leaves=command.leaves,
            evidence=command.evidence,
        )


def _busted(story: Story, command: c.RecordBust) -> None:
    if not story.order.executions.knows(command.exec_id):
        story.tell(e.ExecutionBusted, exec_id=command.exec_id, ref_exec_id=command.ref_exec_id)


def _corrected(story: Story, command: c.RecordCorrection) -> None:
    if not story.order.executions.knows(command.exec_id):
        story.tell(
            e.ExecutionCorrected,
            exec_id=command.exec_id,
            ref_exec_id=command.ref_exec_id,
            quantity=command.quantity,
            price=command.price,
        )


def _expired(story: Story, command: c.RecordExpired) -> None:
    if _may_close(story):
        story.tell(e.OrderExpired, evidence=command.evidence, reason=command.reason)


VENUE_DECISIONS: dict[type[c.Command], Callable[[Story, Any], None]] = {
    c.StartSubmit: _start_submit,
    c.RecordSubmitFailed: _submit_failed,
    c.RecordSubmitInDoubt: _submit_in_doubt,
    c.RecordAccepted: _accepted,
    c.RecordRejected: _rejected,
    c.RecordCanceled: _canceled,
    c.RecordCancelRejected: _cancel_rejected,
    c.RecordReplaced: _replaced,
    c.RecordReplaceRejected: _replace_rejected,
    c.RecordExecution: _executed,
    c.RecordBust: _busted,
    c.RecordCorrection: _corrected,
    c.RecordExpired: _expired,
}
