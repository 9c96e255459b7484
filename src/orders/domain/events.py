"""What can happen to an order, in the past tense.

The tag in each event's stored form is its name and schema version (`OrderPlaced.v1`); `codec.py` upcasts older
ones. Every event of an order carries the order as clients see it after the event, so that whatever tells about
it (query rows, feed, broker) is a function of one event.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from orders.domain.values import Evidence, OrderView

SCHEMA_VERSION = 1


def _tag(name: str) -> str:
    return f"{name}.v{SCHEMA_VERSION}"


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event", tag=_tag, gc=False):
    """`at` is UTC and for people: only the position orders events. `by` names who asked.

    Frozen values of frozen values make no cycles, so the collector need not look at them: readers hold many thousands.
    """

    event_id: UUID
    at: datetime
    by: str
    trace_id: str | None = None


class OrderEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    after: OrderView


class OrderPlaced(OrderEvent, frozen=True, kw_only=True):
    """Accepted from the client; the duty to place it is committed with it. The terms are those of `after`."""


class SubmitStarted(OrderEvent, frozen=True, kw_only=True):
    """About to call the venue: the claim, committed before the call. `worker` is a fresh id per process start."""

    attempt: int
    worker: str


class SubmitFailed(OrderEvent, frozen=True, kw_only=True):
    """These attempts surely did not arrive."""

    attempts: tuple[int, ...]
    reason: str
    evidence: Evidence


class SubmitInDoubt(OrderEvent, frozen=True, kw_only=True):
    """No one knows whether the venue has the order."""

    attempt: int
    reason: str


class OrderAccepted(OrderEvent, frozen=True, kw_only=True):
    """The venue has it; or, where a fill told that before, the venue's own id of it has come."""

    venue_order_id: str | None = None
    evidence: Evidence = Evidence.VENUE_ANSWER


class OrderRejected(OrderEvent, frozen=True, kw_only=True):
    """The venue refused it; only on the venue's word."""

    reason: str
    evidence: Evidence = Evidence.VENUE_ANSWER


class OrderExecuted(OrderEvent, frozen=True, kw_only=True):
    """A fill (FIX ExecType F), legal in any phase. `leaves` is the venue's own count of what is open (tag 151)."""

    exec_id: str
    quantity: int
    price: Decimal
    leaves: int | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


class ExecutionBusted(OrderEvent, frozen=True, kw_only=True):
    """FIX ExecType H, trade cancel: the fill `ref_exec_id` (tag 19) never counted."""

    exec_id: str
    ref_exec_id: str


class ExecutionCorrected(OrderEvent, frozen=True, kw_only=True):
    """FIX ExecType G, trade correct: `exec_id` takes the place of the fill `ref_exec_id`."""

    exec_id: str
    ref_exec_id: str
    quantity: int
    price: Decimal


class CancelRequested(OrderEvent, frozen=True, kw_only=True):
    """Its event_id is the request's id at the venue (FIX ClOrdID)."""


class OrderCanceled(OrderEvent, frozen=True, kw_only=True):
    evidence: Evidence
    reason: str | None = None
    request_id: UUID | None = None


class CancelRejected(OrderEvent, frozen=True, kw_only=True):
    evidence: Evidence
    reason: str
    request_id: UUID | None = None


class ReplaceRequested(OrderEvent, frozen=True, kw_only=True):
    """The terms asked for: `quantity` is the new total. Its event_id is the request's id at the venue."""

    quantity: int
    limit_price: Decimal | None = None


class OrderReplaced(OrderEvent, frozen=True, kw_only=True):
    """`late`: the order had ended before the venue's word on the request came, and clients were told so; with a larger
    quantity an executed order is open again."""

    quantity: int
    limit_price: Decimal | None = None
    evidence: Evidence
    request_id: UUID | None = None
    late: bool = False


class ReplaceRejected(OrderEvent, frozen=True, kw_only=True):
    evidence: Evidence
    reason: str
    request_id: UUID | None = None


class OrderExpired(OrderEvent, frozen=True, kw_only=True):
    """On the venue's word; or a day order that was surely never sent by the end of its day (never_placed)."""

    evidence: Evidence
    reason: str | None = None


class PlacementParked(OrderEvent, frozen=True, kw_only=True):
    """Out of the queue, until a person or a rule resumes it."""

    reason: str


class PlacementResumed(OrderEvent, frozen=True, kw_only=True):
    reason: str


class OperatorResolved(OrderEvent, frozen=True, kw_only=True):
    """A person settled what was in doubt."""

    placed: bool
    reason: str
    attempts: tuple[int, ...] = ()


class ReportUnmatched(Event, frozen=True, kw_only=True):
    """On the venue's own stream: a report of an order that we do not know. `report` is the venue's, as it came; `read`
    what the adapter read of it, so that it can be matched again without the venue."""

    venue: str
    report_key: str
    order_ref: str
    report: dict[str, Any]
    read: dict[str, Any] | None = None


TOLD_TO_CLIENTS = (
    OrderPlaced,
    OrderExecuted,
    OrderReplaced,
    OrderCanceled,
    OrderRejected,
    OrderExpired,
    ExecutionBusted,
    ExecutionCorrected,
)
"""What every client hears of, and other services too: each changes what an order is worth or wants. The rest is between
us and the venue."""

CancelReplies = (OrderCanceled, CancelRejected)
ReplaceReplies = (OrderReplaced, ReplaceRejected)

AnyOrderEvent = (
    OrderPlaced
    | SubmitStarted
    | SubmitFailed
    | SubmitInDoubt
    | OrderAccepted
    | OrderRejected
    | OrderExecuted
    | ExecutionBusted
    | ExecutionCorrected
    | CancelRequested
    | OrderCanceled
    | CancelRejected
    | ReplaceRequested
    | OrderReplaced
    | ReplaceRejected
    | OrderExpired
    | PlacementParked
    | PlacementResumed
    | OperatorResolved
)
AnyEvent = AnyOrderEvent | ReportUnmatched


def event_name(event: Event) -> str:
    """The name without the schema version."""
    return type(event).__name__
