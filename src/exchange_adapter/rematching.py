"""Reports of orders that we did not know are read again when the order appears: after a restore, or placed by its key.

The follower of duties notes them and marks those whose order has come; the process that reads the reports gives these
to the same path as live ones. What comes twice changes nothing, so a row leaves after its report is recorded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

import psycopg
import structlog
from msgspec import Struct

from exchange_adapter.bounds import MAX_UNMATCHED_NOTED, REMATCH_BATCH, REMATCH_EVERY_S
from exchange_adapter.report_words import order_id_of
from exchange_adapter.unmatched import report_of
from exchange_adapter.venue import Report
from exchange_adapter.waiting import first_of
from orders.domain.events import OrderPlaced, ReportUnmatched
from orders.eventstore.port import BrokenLog, EventStore, EventStoreError, Recorded, UnknownEvent
from orders.eventstore.session import Session
from orders.eventstore.sql import load

T = TypeVar("T")

log = structlog.get_logger(__name__)

_SQL = load("exchange_adapter", "rematching.sql")

_OF_ONE_ORDER = (BrokenLog, UnknownEvent)
"""What is wrong with what one order needs of the log; anything else is an outage."""

RecordOrder = Callable[[UUID, list[Report]], Awaitable[Sequence[Report]]]
"""Records reports of one order; returns those that cannot be."""


class Noted(Struct, frozen=True):
    """A report at `position` of the log whose order has appeared."""

    order_id: UUID
    position: int


def note_unmatched(cursor: psycopg.Cursor[Any], batch: Sequence[Recorded], exists: Callable[[UUID], bool]) -> None:
    """In the follower's transaction: marks what waits for the batch's orders, and notes the batch's unmatched reports.
    Of each venue MAX_UNMATCHED_NOTED wait for their order: the oldest leave; the log has all. `exists`: whether the log
    has that order by now."""
    placed = [recorded.stream_id for recorded in batch if isinstance(recorded.event, OrderPlaced)]
    if placed:
        cursor.execute(_SQL["appear"], {"order_ids": placed})
    wanted = [(recorded.position, recorded.event) for recorded in batch if isinstance(recorded.event, ReportUnmatched)]
    if not wanted:
        return
    rows = _rows(wanted, exists)
    if not rows:
        return
    columns = ("order_id", "venue", "position", "appeared")
    cursor.execute(_SQL["note"], dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))
    for venue in {event.venue for _, event in wanted}:
        left = cursor.execute(_SQL["leave"], {"venue": venue, "most": MAX_UNMATCHED_NOTED}).rowcount
        if left:
            log.warning("oldest reports of unknown orders are not waited for any more", venue=venue, reports=left)


def _rows(
    wanted: Sequence[tuple[int, ReportUnmatched]], exists: Callable[[UUID], bool]
) -> list[tuple[UUID, str, int, bool]]:
    appeared: dict[UUID, bool] = {}
    rows = []
    for position, event in wanted:
        report = report_of(event)
        order_id = None if report is None else order_id_of(report)
        if order_id is None:
            continue
        if order_id not in appeared:
            appeared[order_id] = _is_there(exists, order_id)
        rows.append((order_id, event.venue, position, appeared[order_id]))
    return rows


def _is_there(exists: Callable[[UUID], bool], order_id: UUID) -> bool:
    """An order that this release cannot read is there: its reports wait for a release that can."""
    try:
        return exists(order_id)
    except UnknownEvent:
        return True


class NotedReports(Protocol):
    """Blocking; raises StoreUnavailable."""

    def appeared(self, after: int, limit: int) -> list[Noted]:
        """The oldest after a position of the log."""
        ...

    def remove(self, positions: Sequence[int]) -> None: ...


class PostgresNotedReports:
    """Those of one venue. For one thread at a time."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._venue = venue
        self._session = Session(database_url, "orders adapter unmatched reports")

    def appeared(self, after: int, limit: int) -> list[Noted]:
        rows = self._session.rows(_SQL["appeared"], {"venue": self._venue, "after": after, "limit": limit})
        return [Noted(*row) for row in rows]

    def remove(self, positions: Sequence[int]) -> None:
        self._session.rows(_SQL["remove"], {"positions": list(positions)})

    def close(self) -> None:
        self._session.close()


class Rematching:
    """Runs while this process owns the reports. Reads of the table and the log run in `threads`, one at a time."""

    def __init__(self, noted: NotedReports, store: EventStore, record: RecordOrder, threads: Executor) -> None:
        self._noted = noted
        self._store = store
        self._record = record
        self._threads = threads
        self._owned = asyncio.Event()
        self._skipped: set[UUID] = set()

    def own(self, owned: bool) -> None:
        """Whether the reports are this process' to read. For the loop's own thread."""
        if owned:
            self._owned.set()
        else:
            self._owned.clear()

    async def run(self, stop: asyncio.Event) -> None:
        after = 0
        while not stop.is_set():
            if not self._owned.is_set():
                await first_of(self._owned, stop)
                continue
            try:
                after = await self._match(after)
            except EventStoreError as error:
                log.warning("unmatched reports wait for the database", error=str(error))
                after = 0
            if after == 0:
                await first_of(stop, timeout_s=REMATCH_EVERY_S)

    async def _match(self, after: int) -> int:
        """Matches the oldest rows after a position; returns the last one's, 0 where no more wait behind it."""
        rows = await self._blocking(partial(self._noted.appeared, after, REMATCH_BATCH))
        by_order: defaultdict[UUID, list[int]] = defaultdict(list)
        for row in rows:
            by_order[row.order_id].append(row.position)
        for order_id, positions in by_order.items():
            try:
                await self._match_order(order_id, positions)
            except _OF_ONE_ORDER as error:
                self._skip(order_id, error)
        return rows[-1].position if len(rows) == REMATCH_BATCH else 0

    async def _match_order(self, order_id: UUID, positions: Sequence[int]) -> None:
        reports = await self._blocking(partial(self._reports, positions))
        refused = await self._record(order_id, reports)
        await self._blocking(partial(self._noted.remove, positions))
        log.info("reports matched", order_id=str(order_id), reports=len(reports), refused=len(refused))

    def _skip(self, order_id: UUID, error: EventStoreError) -> None:
        """Its rows stay, for a release that can read it; the other orders do not wait for that. Told of once."""
        if order_id not in self._skipped:
            log.error("reports of an order cannot be matched", order_id=str(order_id), error=str(error))
            self._skipped.add(order_id)

    def _reports(self, positions: Sequence[int]) -> list[Report]:
        """In the order in which they came."""
        reports = []
        for position in positions:
            for recorded in self._store.read_log(after=position - 1, limit=1):
                report = report_of(recorded.event) if isinstance(recorded.event, ReportUnmatched) else None
                if report is not None:
                    reports.append(report)
        return reports

    def _blocking(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function)
