"""An order's history as an auditor reads it: of each event who, when, why, by what proof, and what it changed. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from orders.domain.events import ExecutionBusted, ExecutionCorrected, OperatorResolved, OrderEvent, event_name
from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource, printed, resource
from orders.domain.values import Delivery, Evidence, OrdStatus, Status
from orders.eventstore.port import Recorded

_SHOWN_APART = {"event", "event_id", "at", "by", "trace_id", "after", "evidence", "reason"}
_TOLD_BY_THE_EVENT = {"id", "order_id", "version", "position", "created_at", "updated_at"}

_BY_NATURE: dict[type[OrderEvent], Evidence] = {
    ExecutionBusted: Evidence.VENUE_REPORT,
    ExecutionCorrected: Evidence.VENUE_REPORT,
    OperatorResolved: Evidence.OPERATOR,
}
"""The evidence of events that can have no other, and so do not carry it."""


class FieldChange(Struct, frozen=True):
    """A field of the order before and after an event, as the order shows it."""

    before: Any
    after: Any


class HistoryEvent(Struct, frozen=True, kw_only=True):
    """One event of an order. `by` is who caused it, `at` when by that one's clock; only `position` orders events.
    `evidence` is by what it may say that something ended or is settled, `reason` why in words; `fields` are the event's
    own. status, ord_status, filled_quantity and delivery are the order's after it; `changed` names each field of the
    order that it changed (of the first event: the terms)."""

    position: int
    version: int
    event: str
    event_id: UUID
    at: datetime
    by: str
    trace_id: str | None
    evidence: Evidence | None
    reason: str | None
    status: Status
    ord_status: OrdStatus
    filled_quantity: int
    delivery: Delivery
    fields: dict[str, Any]
    changed: dict[str, FieldChange]


def history_event(recorded: Recorded, before: Recorded | None, catalogue: Catalogue) -> HistoryEvent:
    """`before` is the order's event of the version before; None of the first."""
    event = _of_order(recorded)
    return HistoryEvent(
        position=recorded.position,
        version=recorded.version,
        event=event_name(event),
        event_id=event.event_id,
        at=event.at,
        by=event.by,
        trace_id=event.trace_id,
        evidence=getattr(event, "evidence", _BY_NATURE.get(type(event))),
        reason=getattr(event, "reason", None),
        status=event.after.status,
        ord_status=event.after.ord_status,
        filled_quantity=event.after.filled_quantity,
        delivery=event.after.delivery,
        fields=_own_fields(event, catalogue),
        changed=_changed(None if before is None else shown(before, catalogue), shown(recorded, catalogue)),
    )


def shown(recorded: Recorded, catalogue: Catalogue) -> OrderResource:
    """The order as it was after the event."""
    event = _of_order(recorded)
    return resource(
        recorded.stream_id,
        event.after,
        catalogue,
        version=recorded.version,
        position=recorded.position,
        updated_at=event.at,
    )


def _of_order(recorded: Recorded) -> OrderEvent:
    assert isinstance(recorded.event, OrderEvent)
    return recorded.event


def _own_fields(event: OrderEvent, catalogue: Catalogue) -> dict[str, Any]:
    fields = {
        name: printed(catalogue, event.after.symbol, value) if isinstance(value, Decimal) else value
        for name, value in msgspec.structs.asdict(event).items()
        if name not in _SHOWN_APART
    }
    built: dict[str, Any] = msgspec.to_builtins(fields)
    return built


def _changed(before: OrderResource | None, after: OrderResource) -> dict[str, FieldChange]:
    pairs = {
        name: FieldChange(None if before is None else getattr(before, name), getattr(after, name))
        for name in after.__struct_fields__
        if name not in _TOLD_BY_THE_EVENT
    }
    return {name: pair for name, pair in pairs.items() if pair.before != pair.after}
