"""An open duty: what is left to be done at the venue for one order. A function of the order's events, one by one.

A duty begins with the event that makes one necessary and leaves when it is settled. An order at the venue with nothing
pending is no duty of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from exchange_adapter.policy import backoff_s, day_end
from orders.domain import events as e
from orders.domain.order import Order
from orders.domain.values import Delivery, Evidence, Phase, Status, TimeInForce
from orders.eventstore.port import Recorded
from orders.shards import shard_of

_ENDED_UNFILLED = (Status.CANCELED, Status.EXPIRED)
_AVERAGE_JITTER = 0.5


class Duty(Struct, frozen=True, kw_only=True):
    """`since_position` is that of the event which the duty began with: the oldest goes first. `not_before` keeps an
    order that failed out of the way of others; `expires_at` is when a day order that was never sent ends.

    For people: `worker` and `attempted_at` of the last attempt, `reason` of the last failure, doubt or parking.
    """

    order_id: UUID
    shard: int
    since_position: int
    position: int
    version: int
    delivery: Delivery
    symbol: str
    attempts: int = 0
    failures: int = 0
    pending_cancel: bool = False
    pending_replace: bool = False
    unwanted: bool = False  # ended here as never placed, and lives at the venue
    not_before: datetime | None = None
    expires_at: datetime | None = None
    worker: str | None = None
    attempted_at: datetime | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        return self.delivery is not Delivery.ACKED or self.pending_cancel or self.pending_replace or self.unwanted


def duty_of(order: Order, position: int) -> Duty | None:
    """The duty that a whole order has, where an event at `position` began or changed it; None where it has none.

    What only its events tell is left out: until when a failed one waits, when a day order ends, and what is for people.
    """
    is_open = order.phase is Phase.OPEN
    duty = Duty(
        order_id=order.id,
        shard=shard_of(order.id),
        since_position=position,
        position=position,
        version=order.version,
        delivery=order.delivery,
        symbol=order.placed.traded,
        attempts=order.attempts,
        failures=order.failures,
        pending_cancel=is_open and order.pending_cancel is not None,
        pending_replace=is_open and order.pending_replace is not None,
        unwanted=order.lives_unwanted,
    )
    return duty if duty.unwanted or (is_open and duty.is_open) else None


def duty_after(duty: Duty | None, recorded: Recorded, look_up: Callable[[UUID], Order | None]) -> Duty | None:
    """The duty after the event; None where nothing is left to do. `look_up` folds an order, for the rare case that one
    event does not tell: a fill of an order that has ended."""
    event = recorded.event
    if not isinstance(event, e.OrderEvent) or (duty is not None and recorded.version <= duty.version):
        return duty
    after = event.after
    if after.status is not Status.PLACED:
        return _of_ended(duty, recorded, event, look_up)
    before = duty or _new(recorded, event)
    changed = replace(
        before,
        position=recorded.position,
        version=recorded.version,
        delivery=after.delivery,
        unwanted=False,
        **_changes(before, event),
    )
    return changed if changed.is_open else None


def _new(recorded: Recorded, event: e.OrderEvent) -> Duty:
    after = event.after
    is_day = after.time_in_force is TimeInForce.DAY
    return Duty(
        order_id=recorded.stream_id,
        shard=shard_of(recorded.stream_id),
        since_position=recorded.position,
        position=recorded.position,
        version=recorded.version,
        delivery=after.delivery,
        symbol=after.symbol,
        expires_at=day_end(after.created_at or event.at) if is_day else None,
    )


def _changes(duty: Duty, event: e.OrderEvent) -> dict[str, object]:
    match event:
        case e.SubmitStarted():
            claim = {"worker": event.worker, "attempted_at": event.at}
            return {"attempts": event.attempt, "not_before": None, **claim}
        case e.SubmitFailed():
            failures = duty.failures + (event.evidence is not Evidence.NEVER_SENT)
            wait = timedelta(seconds=backoff_s(max(failures, 1), _AVERAGE_JITTER))
            return {"failures": failures, "not_before": event.at + wait, "reason": event.reason}
        case e.SubmitInDoubt() | e.PlacementParked():
            return {"reason": event.reason}
        case e.PlacementResumed():
            return {"failures": 0, "not_before": None}
        case e.CancelRequested():
            return {"pending_cancel": True, "not_before": None}
        case e.CancelRejected():
            return {"pending_cancel": False}
        case e.ReplaceRequested():
            return {"pending_replace": True, "not_before": None}
        case e.OrderReplaced(request_id=None) | e.OrderReplaced(late=True):
            return {}  # the venue's own change of terms, or an older request's: one that waits goes on waiting
        case e.OrderReplaced() | e.ReplaceRejected():
            return {"pending_replace": False}
    return {}


def _of_ended(
    duty: Duty | None, recorded: Recorded, event: e.OrderEvent, look_up: Callable[[UUID], Order | None]
) -> Duty | None:
    if event.after.status not in _ENDED_UNFILLED or not _lives_unwanted(duty, recorded, event, look_up):
        return None
    return replace(
        duty or _new(recorded, event),
        position=recorded.position,
        version=recorded.version,
        delivery=event.after.delivery,
        pending_cancel=False,
        pending_replace=False,
        unwanted=True,
        not_before=None,
        expires_at=None,
    )


def _lives_unwanted(
    duty: Duty | None, recorded: Recorded, event: e.OrderEvent, look_up: Callable[[UUID], Order | None]
) -> bool:
    """Whether the order ended as never placed and the venue turns out to have it."""
    if event.after.delivery is not Delivery.ACKED or isinstance(event, e.OrderCanceled | e.OrderExpired):
        return False  # never at the venue; or ended on the venue's word
    if duty is not None and duty.unwanted:
        return True
    order = look_up(recorded.stream_id)
    return order is not None and order.lives_unwanted
