"""The orders of the log, one by one: versions without a hole, known events, and each event's own word on the order
against the order as the domain folds it."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import msgspec

from orders.domain.events import AnyEvent, OrderEvent
from orders.domain.order import Order, evolve, view
from orders.domain.values import OrderView
from orders.eventstore import codec
from orders.eventstore.port import UnknownEvent
from orders.log_check.finding import LogFinding, LogFindings, What
from orders.log_check.progress import Progress
from orders.log_check.reading import LogRows, Row

_FIELDS = OrderView.__struct_fields__
_KNOWN = {codec.topic_of(kind) for kind in get_args(AnyEvent)}


def check_orders(rows: LogRows, findings: LogFindings, progress: Progress) -> int:
    """Returns how many streams there are. Raises psycopg.Error."""
    streams = 0
    stream: _Stream | None = None
    for number, row in enumerate(rows.by_order(), 1):
        progress.at(number)
        if stream is None or stream.id != row.order_id:
            stream = _Stream(row.order_id)
            streams += 1
        finding = stream.check(row)
        if finding is not None:
            findings.add(finding)
    return streams


class _Stream:
    """One order. After the first finding its state is not known, so that only versions are looked at from there on."""

    def __init__(self, stream_id: UUID) -> None:
        self.id = stream_id
        self._version = 0
        self._position = 0
        self._order: Order | None = None
        self._lost = False

    def check(self, row: Row) -> LogFinding | None:
        expected, before = self._version + 1, self._position
        self._version, self._position = row.version, row.position
        if row.version != expected:
            self._lost = True
            which = (
                f"version {expected} is"
                if row.version == expected + 1
                else f"versions {expected} to {row.version - 1} are"
            )
            return _finding(row, "missing_version", f"{which} missing", version=expected)
        if row.position <= before:
            self._lost = True
            return _finding(row, "position_out_of_order", f"it stands before the version before it, at {before}")
        try:
            event = codec.decode(row.topic, row.state)
        except UnknownEvent as error:
            self._lost = True
            known = row.topic in _KNOWN or row.topic in codec.UPCASTERS
            return _finding(row, "unreadable_event" if known else "unknown_event", str(error))
        if row.topic not in codec.UPCASTERS and codec.topic_of(event) != row.topic:
            what: What = "unreadable_event" if row.topic in _KNOWN else "unknown_event"
            return _finding(row, what, f"stored as {row.topic}, it is {codec.topic_of(event)}")
        return self._fold(row, event)

    def _fold(self, row: Row, event: AnyEvent) -> LogFinding | None:
        if self._lost or not isinstance(event, OrderEvent):
            return None
        self._order = evolve(self.id, self._order, event)
        folded = view(self._order)
        if folded == event.after:
            return None
        self._lost = True
        field = next(name for name in _FIELDS if getattr(folded, name) != getattr(event.after, name))
        stored, expected = (_shown(getattr(one, field)) for one in (event.after, folded))
        finding = _finding(row, "wrong_state", f"{row.topic} says {field} {stored}, the order's events say {expected}")
        return msgspec.structs.replace(finding, field=field, stored=stored, expected=expected)


def _finding(row: Row, what: What, text: str, *, version: int | None = None) -> LogFinding:
    version = version or row.version
    return LogFinding(
        what=what,
        text=f"order {row.order_id}, version {version} (position {row.position}): {text}",
        position=row.position,
        order_id=row.order_id,
        version=version,
    )


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
