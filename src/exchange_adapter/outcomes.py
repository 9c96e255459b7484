"""What the outcome of a call means for the order. Pure: an outcome in, commands out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from exchange_adapter.call_pool import Raised, TimedOut, TooLate
from exchange_adapter.reconciler import Stamp, short
from exchange_adapter.venue import (
    Done,
    NotSent,
    Outcome,
    Placed,
    Refused,
    RequestOutcome,
    SubmitOutcome,
    Unknown,
    UnknownOrder,
)
from orders.domain import commands as c
from orders.domain.order import Order, PendingReplace
from orders.domain.values import Delivery, Evidence

_ANSWER = Evidence.VENUE_ANSWER
NEVER_STARTED = "the call was not started in time"


def answered(outcome: Outcome | Raised | TooLate | TimedOut[Any]) -> bool | None:
    """Whether the venue said anything; None where it was not asked."""
    if isinstance(outcome, TooLate):
        return None
    return not isinstance(outcome, NotSent | Unknown | Raised | TimedOut)


def doubt_reason(outcome: Unknown | Raised | TimedOut[Any], timeout_s: float) -> str:
    match outcome:
        case Unknown(reason):
            return short(reason)
        case Raised(error):
            return short(error)
        case TimedOut():
            return f"no answer within {timeout_s:g} s"


def of_submit(
    attempt: int, outcome: SubmitOutcome | Raised | TooLate | TimedOut[Any], timeout_s: float, stamp: Stamp
) -> c.Command:
    match outcome:
        case Placed(venue_order_id):
            return c.RecordAccepted(**stamp(), venue_order_id=venue_order_id)
        case Refused(reason):
            return c.RecordRejected(**stamp(), attempt=attempt, reason=short(reason))
        case NotSent(reason):
            return c.RecordSubmitFailed(**stamp(), attempts=(attempt,), reason=short(reason))
        case TooLate():
            return never_sent(attempt, stamp)
        case _:
            return c.RecordSubmitInDoubt(**stamp(), attempt=attempt, reason=doubt_reason(outcome, timeout_s))


def never_sent(attempt: int, stamp: Stamp) -> c.RecordSubmitFailed:
    return c.RecordSubmitFailed(**stamp(), attempts=(attempt,), reason=NEVER_STARTED, evidence=Evidence.NEVER_SENT)


def of_cancel(order: Order, request_id: UUID, outcome: RequestOutcome, stamp: Stamp) -> list[c.Command]:
    """A refusal proves that the venue has the order; "unknown order" is one only where it surely should know it."""
    match outcome:
        case Done():
            return [c.RecordCanceled(**stamp(), request_id=request_id, evidence=_ANSWER)]
        case Refused(reason):
            refused = c.RecordCancelRejected(**stamp(), reason=short(reason), request_id=request_id, evidence=_ANSWER)
            return [*_proof(order, stamp), refused]
        case UnknownOrder(reason) if order.delivery is Delivery.ACKED:
            return [c.RecordCancelRejected(**stamp(), reason=short(reason), request_id=request_id, evidence=_ANSWER)]
    return []


def of_replace(change: PendingReplace, outcome: RequestOutcome, stamp: Stamp) -> list[c.Command]:
    match outcome:
        case Done(quantity, limit_price):
            return [
                c.RecordReplaced(
                    **stamp(),
                    quantity=change.quantity if quantity is None else quantity,
                    limit_price=change.limit_price if limit_price is None else limit_price,
                    request_id=change.request_id,
                    evidence=_ANSWER,
                )
            ]
        case Refused(reason) | UnknownOrder(reason):
            return [
                c.RecordReplaceRejected(**stamp(), reason=short(reason), request_id=change.request_id, evidence=_ANSWER)
            ]
    return []


def _proof(order: Order, stamp: Stamp) -> list[c.Command]:
    return [] if order.delivery is Delivery.ACKED else [c.RecordAccepted(**stamp(), evidence=_ANSWER)]
