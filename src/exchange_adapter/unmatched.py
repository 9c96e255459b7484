"""Reports that fit no order of ours: kept on the venue's own stream, each once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid5

import msgspec
import structlog
from msgspec.structs import replace

from exchange_adapter.bounds import (
    MAX_KEPT_BRACKETS,
    MAX_KEPT_TEXT,
    MAX_UNIT_REPORTS,
    UNMATCHED_LOOKBACK,
    UNMATCHED_UNIT_BYTES,
)
from exchange_adapter.recorder import BY
from exchange_adapter.venue import Report
from orders.domain.events import ReportUnmatched
from orders.eventstore.codec import encode_unit
from orders.eventstore.port import Appended, EventStore, Unit
from orders.handlers import Appender
from orders.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

VENUE_NAMESPACE = UUID("0d5c7a52-6b1f-5b7e-9a35-1f2f7b0c6e44")
"""Fixed for ever: a venue's stream id is derived from it and the venue's name."""


class UnmatchedReports:
    def __init__(
        self, venue: str, store: EventStore, appender: Appender, threads: Executor, utc: Callable[[], datetime]
    ) -> None:
        self.stream_id = uuid5(VENUE_NAMESPACE, venue)
        self._venue = venue
        self._store = store
        self._appender = appender
        self._threads = threads
        self._utc = utc

    async def keep(self, reports: Sequence[Report], source: str | None) -> None:
        """Raises EventStoreError."""
        events = [self._event(report, source) for report in reports]
        while True:
            version, known = await asyncio.get_running_loop().run_in_executor(self._threads, self._known)
            fresh = _one_unit([event for event in events if event.event_id not in known])
            if not fresh:
                return
            if isinstance(await self._appender.append(Unit(self.stream_id, version, tuple(fresh))), Appended):
                self._tell(fresh)

    def _tell(self, events: list[ReportUnmatched]) -> None:
        """One line for all, since a venue that knows another database's orders may send a million of them."""
        first = events[0]
        log.error(
            "reports of unknown orders",
            venue=self._venue,
            reports=len(events),
            order_ref=first.order_ref,
            key=first.report_key,
        )

    def _known(self) -> tuple[int, set[UUID]]:
        """The stream's version, and the ids of its last events: what can come twice came lately."""
        last = self._store.read_last(self.stream_id)
        if last is None:
            return 0, set()
        read = partial(self._store.read_stream, self.stream_id, after_version=max(0, last.version - UNMATCHED_LOOKBACK))
        events = read()
        return events[-1].version, {recorded.event.event_id for recorded in events}

    def _event(self, report: Report, source: str | None) -> ReportUnmatched:
        key = f"{source or ''}/{report.seq}"
        event = ReportUnmatched(
            event_id=uuid5(self.stream_id, key),
            at=self._utc(),
            by=BY,
            venue=self._venue,
            report_key=key,
            order_ref=report.order_ref,
            report=_as_it_came(report.raw),
            read=_told(report),
        )
        return event if _bytes_of(event) <= UNMATCHED_UNIT_BYTES else _cut(event, report)


def _one_unit(events: Sequence[ReportUnmatched]) -> list[ReportUnmatched]:
    """The first of them, as many as one unit takes."""
    size_bytes = 0
    for count, event in enumerate(events[:MAX_UNIT_REPORTS]):
        size_bytes += _bytes_of(event)
        if size_bytes > UNMATCHED_UNIT_BYTES and count:
            return list(events[:count])
    return list(events[:MAX_UNIT_REPORTS])


def _bytes_of(event: ReportUnmatched) -> int:
    return encode_unit(Unit(event.event_id, 0, (event,))).size_bytes


def _as_it_came(raw: bytes) -> dict[str, Any]:
    """The report's JSON; as `text` what is no object of JSON (FIX, a list), or so deep that only some could read it."""
    if raw.count(b"[") + raw.count(b"{") > MAX_KEPT_BRACKETS:
        return _text(raw)
    try:
        decoded = msgspec.json.decode(raw) if raw else {}
        msgspec.json.encode(decoded)
    except (*UNREADABLE, ValueError):
        return _text(raw)
    return decoded if isinstance(decoded, dict) else _text(raw)


def _text(raw: bytes) -> dict[str, Any]:
    return {"text": raw.decode("utf-8", "backslashreplace")}


def _cut(event: ReportUnmatched, report: Report) -> ReportUnmatched:
    """Its beginning; without what was read where that alone is too much: it fits no order then."""
    cut = replace(event, report=_text(report.raw[:MAX_KEPT_TEXT]), order_ref=event.order_ref[:MAX_KEPT_TEXT])
    return cut if _bytes_of(cut) <= UNMATCHED_UNIT_BYTES else replace(cut, read=None)


def _told(report: Report) -> dict[str, Any]:
    """The report's fields that say something, but for the raw bytes; prices as they are written."""
    fields: dict[str, Any] = msgspec.to_builtins(report)
    return {name: value for name, value in fields.items() if value is not None and name != "raw"}


def report_of(event: ReportUnmatched) -> Report | None:
    """The report again; None where the event has none that can be read."""
    try:
        return msgspec.convert(event.read, Report)
    except msgspec.ValidationError:
        return None
