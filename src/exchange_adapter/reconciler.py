"""Settles what is in doubt: what a venue's answers to questions, and its "unknown order", prove about an order.

Pure: an answer in, commands out; no commands mean that it proves nothing yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from exchange_adapter.policy import Limits, not_found_counts_after_s
from exchange_adapter.venue import Found, VenueState
from orders.bounds import MAX_TEXT
from orders.domain import commands as c
from orders.domain.order import Order, PendingReplace
from orders.domain.values import Capabilities, Delivery, Evidence

Stamp = Callable[[], dict[str, Any]]
"""The fields that every command has: its order, an id of its own, the time, and who asks."""

_QUERY = Evidence.VENUE_QUERY


def found(order: Order, answer: Found, stamp: Stamp) -> list[c.Command]:
    """What a venue that has the order says of it.

    Its executions count where all were told; only then does an end count too, since fills belong before it.
    """
    if answer.state is VenueState.REJECTED:
        return [c.RecordRejected(**stamp(), reason=short(answer.reason or "no reason given"), evidence=_QUERY)]
    commands: list[c.Command] = []
    if order.delivery is not Delivery.ACKED:
        commands.append(c.RecordAccepted(**stamp(), venue_order_id=answer.venue_order_id, evidence=_QUERY))
    if order.pending_replace is not None and went_through(order.pending_replace, answer):
        commands.append(_replaced(order.pending_replace, answer, stamp))
    if sum(execution.quantity for execution in answer.executions) != answer.filled:
        return commands
    commands += _executions(answer, stamp)
    if answer.state is VenueState.CANCELED:
        commands.append(c.RecordCanceled(**stamp(), request_id=order.pending_cancel, evidence=_QUERY))
    elif answer.state is VenueState.EXPIRED:
        reason = None if answer.reason is None else short(answer.reason)
        commands.append(c.RecordExpired(**stamp(), reason=reason, evidence=_QUERY))
    return commands


def went_through(change: PendingReplace, answer: Found) -> bool:
    """By the id of the terms in force where the venue tells it, else by the terms themselves."""
    if answer.terms_id is not None:
        return answer.terms_id == str(change.request_id)
    return (answer.quantity, answer.limit_price) == (change.quantity, change.limit_price)


def _replaced(change: PendingReplace, answer: Found, stamp: Stamp) -> c.RecordReplaced:
    return c.RecordReplaced(
        **stamp(),
        quantity=change.quantity if answer.quantity is None else answer.quantity,
        limit_price=change.limit_price if answer.limit_price is None else answer.limit_price,
        request_id=change.request_id,
        evidence=_QUERY,
    )


def _executions(answer: Found, stamp: Stamp) -> list[c.Command]:
    last = len(answer.executions) - 1
    return [
        c.RecordExecution(
            **stamp(),
            exec_id=execution.exec_id,
            quantity=execution.quantity,
            price=execution.price,
            leaves=0 if answer.state is VenueState.EXECUTED and number == last else None,
            evidence=_QUERY,
        )
        for number, execution in enumerate(answer.executions)
    ]


def not_there(
    order: Order, venue: Capabilities, limits: Limits, *, waited_s: float, evidence: Evidence, stamp: Stamp
) -> list[c.Command]:
    """The venue does not know an order in doubt. That counts for all its attempts once none can still arrive:
    `waited_s` is the time from the last one's claim, or from the end of a call of it that outlived its timeout, to the
    question."""
    bound_s = not_found_counts_after_s(venue, limits)
    if order.delivery is not Delivery.IN_DOUBT or bound_s is None or waited_s < bound_s:
        return []
    attempts = tuple(sorted(order.in_doubt))
    reason = f"the exchange does not have it, {bound_s:g} s after the last attempt"
    return [c.RecordSubmitFailed(**stamp(), attempts=attempts, reason=reason, evidence=evidence)]


def replace_never_came(request_id: UUID, stamp: Stamp) -> c.RecordReplaceRejected:
    """The venue works on the old terms, and the request cannot arrive any more."""
    reason = "the exchange never had the request"
    return c.RecordReplaceRejected(**stamp(), request_id=request_id, reason=reason, evidence=_QUERY)


def cancel_was_refused(request_id: UUID, reason: str, stamp: Stamp) -> c.RecordCancelRejected:
    """The venue refused it, and works on the order: so the refusal was meant."""
    return c.RecordCancelRejected(**stamp(), request_id=request_id, reason=short(reason), evidence=_QUERY)


def short(reason: str) -> str:
    """Bounded, and such that it can be stored."""
    return storable(reason[:MAX_TEXT])


def storable(text: str) -> str:
    """Half of a surrogate pair, which has no UTF-8, as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()
