"""What a person is told of: which alerts are open after an event of the log, or in the state of a process. Pure.

| kind | open while |
| --- | --- |
| order_parked | an order is out of the queue until a person or a rule resumes it |
| order_held | an order is in doubt where only a person can settle it (can_go_on), or waits long (waits_for_word) |
| unwanted_order | an order that ended as never placed lives at the exchange |
| late_fill | for a quiet time after a fill of an order that had ended otherwise |
| overfill | more is filled than was asked for; at most for a quiet time after the last fill |
| late_replace | for a quiet time after the exchange changed an order that was taken for ended |
| unknown_order | for a quiet time after the last report of an order that is not in the log |
| late_failure | for a quiet time after an attempt failed definitely, though the exchange has the order |
| unknown_at_venue | for a quiet time after the exchange did not know an order that it had accepted |
| breaker_open | a process makes no calls but probes, since the exchange fails at every one |
| reports_stalled | the process that reads the exchange's reports gets nothing, not even a sign of life |
| calls_hang | calls of a process are past their timeout and have not returned |
| duties_stalled | the process that keeps the table of duties cannot read or apply an event: nothing new is placed |

Alerts of an order have its id as their key, unknown_order the exchange's name, the last four the process' worker id.
The first seven follow from the log: each batch's are written with its duties. The others, and those orders held that
the log does not tell of, end with their process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from exchange_adapter.bounds import ALERT_QUIET_S, MAX_ALERT_DETAIL
from exchange_adapter.policy import can_go_on
from exchange_adapter.work.duty import Duty
from orders.domain import events as e
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Status
from orders.eventstore.port import Recorded


class AlertKind(StrEnum):
    """Stored, and sent to webhooks: names stay."""

    ORDER_PARKED = "order_parked"
    ORDER_HELD = "order_held"
    UNWANTED_ORDER = "unwanted_order"
    LATE_FILL = "late_fill"
    OVERFILL = "overfill"
    LATE_REPLACE = "late_replace"
    UNKNOWN_ORDER = "unknown_order"
    LATE_FAILURE = "late_failure"
    UNKNOWN_AT_VENUE = "unknown_at_venue"
    BREAKER_OPEN = "breaker_open"
    REPORTS_STALLED = "reports_stalled"
    CALLS_HANG = "calls_hang"
    DUTIES_STALLED = "duties_stalled"


TITLES = {
    AlertKind.ORDER_PARKED: "Orders parked after failed attempts",
    AlertKind.ORDER_HELD: "Orders held until a person settles them",
    AlertKind.UNWANTED_ORDER: "Orders that ended here and live at the exchange",
    AlertKind.LATE_FILL: "Orders filled after their end",
    AlertKind.OVERFILL: "Orders filled beyond their quantity",
    AlertKind.LATE_REPLACE: "Orders changed by the exchange after their end",
    AlertKind.UNKNOWN_ORDER: "Reports of orders that we do not know",
    AlertKind.LATE_FAILURE: "Orders at the exchange though their placing failed",
    AlertKind.UNKNOWN_AT_VENUE: "Accepted orders that the exchange does not know",
    AlertKind.BREAKER_OPEN: "The exchange fails at every call",
    AlertKind.REPORTS_STALLED: "No execution reports are read",
    AlertKind.CALLS_HANG: "Calls to the exchange hang",
    AlertKind.DUTIES_STALLED: "New orders are not placed, since the log cannot be followed",
}
"""For a person; a count follows."""

CONTRADICTIONS = (
    AlertKind.LATE_FILL,
    AlertKind.OVERFILL,
    AlertKind.LATE_REPLACE,
    AlertKind.UNKNOWN_ORDER,
    AlertKind.LATE_FAILURE,
    AlertKind.UNKNOWN_AT_VENUE,
)
"""The exchange said one thing and then another. They have no end of their own, and are over when they stay quiet."""

_STANDING = (AlertKind.ORDER_PARKED, AlertKind.ORDER_HELD, AlertKind.UNWANTED_ORDER)
_ENDED_OTHERWISE = (Status.CANCELED, Status.EXPIRED, Status.REJECTED)
_EXECUTIONS = (e.OrderExecuted, e.ExecutionCorrected)

LookUp = Callable[[UUID], Order | None]


class Name(NamedTuple):
    kind: AlertKind
    key: str


class Alert(Struct, frozen=True, kw_only=True):
    """`times`: how often it was seen, `last_at` when last. `position` is that of the last event it follows from;
    `worker` whose condition it is. One of both is set."""

    kind: AlertKind
    key: str
    opened_at: datetime
    last_at: datetime
    detail: str
    times: int = 1
    position: int | None = None
    worker: str | None = None

    @property
    def name(self) -> Name:
        return Name(self.kind, self.key)


class Step(Struct, frozen=True):
    """An event of the log, and its order's duty after it."""

    recorded: Recorded
    duty: Duty | None


def key_of(recorded: Recorded) -> str:
    """The key of all alerts that the event can open or end."""
    event = recorded.event
    return plain(event.venue) if isinstance(event, e.ReportUnmatched) else str(recorded.stream_id)


def changes(
    known: Mapping[Name, Alert], step: Step, *, venue: Capabilities, look_up: LookUp, now: datetime
) -> dict[Name, Alert | None]:
    """What the event makes of the alerts under its key, of which the open ones are in `known`; None: it has ended.

    `look_up` folds an order, for the rare case that its event does not tell. A contradiction that has been quiet for
    long at `now` opens nothing, so that a table made again from the log tells nothing old.
    """
    recorded = step.recorded
    seen = _Seen(known, recorded, fresh=now - recorded.event.at <= timedelta(seconds=ALERT_QUIET_S))
    match recorded.event:
        case e.ReportUnmatched() as report:
            seen.again(AlertKind.UNKNOWN_ORDER, f"report {report.report_key} names order {report.order_ref}")
        case e.OrderEvent() as event:
            _standing(seen, step.duty, event, venue)
            _contradicting(seen, event)
            _overfilling(seen, event, look_up)
    return seen.changes


def ends_quietly(alert: Alert, now: datetime) -> bool:
    """Whether a contradiction was not seen again for so long that it is over."""
    return now - alert.last_at > timedelta(seconds=ALERT_QUIET_S)


def plain(text: str) -> str:
    """Bounded, and such that a table can hold it."""
    return without_nul(text)[:MAX_ALERT_DETAIL]


def without_nul(text: str) -> str:
    """Reasons are the exchange's own words: they may hold a character that PostgreSQL's text cannot."""
    return text.replace("\0", "")


class _Seen:
    """Collects the changes of one event."""

    def __init__(self, known: Mapping[Name, Alert], recorded: Recorded, *, fresh: bool) -> None:
        self.changes: dict[Name, Alert | None] = {}
        self.order_id = recorded.stream_id
        self._known = known
        self._key = key_of(recorded)
        self._at = recorded.event.at
        self._position = recorded.position
        self._fresh = fresh

    def is_open(self, kind: AlertKind) -> bool:
        return Name(kind, self._key) in self._known

    def open(self, kind: AlertKind, detail: str) -> None:
        alert = Alert(
            kind=kind,
            key=self._key,
            opened_at=self._at,
            last_at=self._at,
            detail=plain(detail),
            position=self._position,
        )
        self.changes[alert.name] = alert

    def end(self, kind: AlertKind) -> None:
        if self.is_open(kind):
            self.changes[Name(kind, self._key)] = None

    def again(self, kind: AlertKind, detail: str) -> None:
        """Opens it, or counts once more."""
        known = self._known.get(Name(kind, self._key))
        if not self._fresh:
            return
        if known is None:
            self.open(kind, detail)
            return
        self.changes[known.name] = replace(
            known,
            last_at=max(known.last_at, self._at),
            times=known.times + 1,
            position=self._position,
            detail=plain(detail),
        )


def _standing(seen: _Seen, duty: Duty | None, event: e.OrderEvent, venue: Capabilities) -> None:
    """Those that last exactly as long as the duty is in a state."""
    wanted = None if duty is None else _standing_kind(duty, venue)
    for kind in _STANDING:
        if kind is not wanted:
            seen.end(kind)
        elif not seen.is_open(kind):
            seen.open(kind, _standing_detail(kind, event))


def _standing_kind(duty: Duty, venue: Capabilities) -> AlertKind | None:
    if duty.unwanted:
        return AlertKind.UNWANTED_ORDER
    match duty.delivery:
        case Delivery.PARKED:
            return AlertKind.ORDER_PARKED
        case Delivery.IN_DOUBT:
            cancel, change = duty.pending_cancel, duty.pending_replace
            goes_on = can_go_on(venue, duty.delivery, cancel=cancel, change=change)
            return None if goes_on else AlertKind.ORDER_HELD
    return None


def _standing_detail(kind: AlertKind, event: e.OrderEvent) -> str:
    if kind is AlertKind.UNWANTED_ORDER:
        return f"{_terms(event)}: ended here as never placed, and the exchange has it"
    reason = getattr(event, "reason", None)
    return f"{_terms(event)}: {reason}" if reason else _terms(event)


def _contradicting(seen: _Seen, event: e.OrderEvent) -> None:
    """What the venue says against what it, or we, said before. Its word wins and is recorded; a person should know."""
    after = event.after
    if isinstance(event, e.OrderExecuted) and after.status in _ENDED_OTHERWISE:
        seen.again(AlertKind.LATE_FILL, f"{event.quantity} at {event.price} ({event.exec_id}) after {after.status}")
    if isinstance(event, e.OrderReplaced) and event.late:
        seen.again(AlertKind.LATE_REPLACE, f"now {_terms(event)}, of which {after.filled_quantity} are filled")


def _overfilling(seen: _Seen, event: e.OrderEvent, look_up: LookUp) -> None:
    after = event.after
    if not _overfilled(seen.order_id, event, look_up):
        seen.end(AlertKind.OVERFILL)
    elif isinstance(event, _EXECUTIONS) or not seen.is_open(AlertKind.OVERFILL):
        seen.again(AlertKind.OVERFILL, f"{after.filled_quantity} are filled of {_terms(event)}")


def _overfilled(order_id: UUID, event: e.OrderEvent, look_up: LookUp) -> bool:
    """An order that is filled beyond its quantity and still open has a replace pending, whose quantity counts."""
    after = event.after
    if after.filled_quantity <= after.quantity:
        return False
    if after.status is not Status.PLACED:
        return True
    order = look_up(order_id)
    return order is not None and order.overfilled


def _terms(event: e.OrderEvent) -> str:
    after = event.after
    price = "" if after.limit_price is None else f" at {after.limit_price}"
    return f"{after.side} {after.quantity} {after.symbol}{price}"
