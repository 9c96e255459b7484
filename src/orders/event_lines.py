"""A log line for each event of an order as it becomes durable, by the process that recorded it.

What an operator would want to know by itself is on `info` and above; the plain life of an order on `debug`, since at a
thousand orders a second those lines would hide all others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from orders.domain import events as e
from orders.eventstore.port import Recorded

log = logging.getLogger(__name__)

_WORDS: dict[type[e.OrderEvent], tuple[int, str]] = {
    e.OrderPlaced: (logging.DEBUG, "order accepted"),
    e.SubmitStarted: (logging.DEBUG, "order about to be sent"),
    e.SubmitFailed: (logging.DEBUG, "attempt failed"),
    e.SubmitInDoubt: (logging.WARNING, "order in doubt"),
    e.OrderAccepted: (logging.DEBUG, "order at the exchange"),
    e.OrderRejected: (logging.INFO, "order rejected by the exchange"),
    e.OrderExecuted: (logging.DEBUG, "order executed"),
    e.ExecutionBusted: (logging.WARNING, "execution busted"),
    e.ExecutionCorrected: (logging.WARNING, "execution corrected"),
    e.CancelRequested: (logging.DEBUG, "cancel asked for"),
    e.OrderCanceled: (logging.DEBUG, "order canceled"),
    e.CancelRejected: (logging.DEBUG, "cancel rejected"),
    e.ReplaceRequested: (logging.DEBUG, "replace asked for"),
    e.OrderReplaced: (logging.DEBUG, "order replaced"),
    e.ReplaceRejected: (logging.DEBUG, "replace rejected"),
    e.OrderExpired: (logging.DEBUG, "order expired"),
    e.PlacementParked: (logging.ERROR, "order parked"),
    e.PlacementResumed: (logging.INFO, "order resumed"),
    e.OperatorResolved: (logging.INFO, "order settled by a person"),
}
_TOLD = ("attempt", "attempts", "reason", "exec_id", "venue_order_id", "placed")
"""Fields of events that a line has where the event does; values of an event's `after` are in the order."""


def log_events(events: Sequence[Recorded]) -> None:
    for recorded in events:
        event = recorded.event
        if not isinstance(event, e.OrderEvent):
            continue
        level, words = _WORDS[type(event)]
        if log.isEnabledFor(level):
            log.log(level, words, extra=_fields(recorded, event))


def _fields(recorded: Recorded, event: e.OrderEvent) -> dict[str, object]:
    fields: dict[str, object] = {
        "order_id": str(recorded.stream_id),
        "position": recorded.position,
        "by": event.by,
        "status": event.after.status.value,
        "delivery": event.after.delivery.value,
    }
    if event.trace_id is not None:
        fields["trace_id"] = event.trace_id
    return fields | {name: value for name in _TOLD if (value := getattr(event, name, None)) is not None}
