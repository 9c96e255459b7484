"""Reads the venue's execution reports into the log: fills first, then the position in the stream.

What comes again after a crash or a cut in between changes nothing: the domain knows a fill by its exec_id. The next
batch is read when the last one is durable, so a slow database slows the reading down, and memory stays bounded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar
from uuid import UUID

import structlog

from exchange_adapter.bounds import (
    COMMIT_REPORTS,
    MAX_UNIT_REPORTS,
    REPORT_BATCH,
    REPORT_RETRY_S,
    REPORT_SILENCE_S,
    REPORT_UNITS_IN_FLIGHT,
    REPORT_WAIT_S,
    REPORTS_STALLED_S,
)
from exchange_adapter.errors import OtherJournal, ReportsLost
from exchange_adapter.reconciler import Stamp
from exchange_adapter.recorder import Recorder
from exchange_adapter.report_position import ReportPositions
from exchange_adapter.report_words import command_of, order_id_of, storable_report
from exchange_adapter.unmatched import UnmatchedReports
from exchange_adapter.venue import Report, ReportPosition, ReportStream, Venue
from exchange_adapter.waiting import first_of
from orders.domain.commands import Command
from orders.domain.errors import Refusal, UnknownOrder
from orders.domain.order import Order
from orders.eventstore.port import EventStoreError, StoreClosed, TooLarge, UnknownEvent

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ReportReader:
    """Runs while this process owns the reports. `thread` is one thread, for the stream's blocking reads."""

    def __init__(
        self,
        *,
        venue: Venue,
        recorder: Recorder,
        positions: ReportPositions,
        unmatched: UnmatchedReports,
        thread: Executor,
    ) -> None:
        self._venue = venue
        self._recorder = recorder
        self._positions = positions
        self._unmatched = unmatched
        self._thread = thread
        self._owned = asyncio.Event()
        self._pause_s = REPORT_RETRY_S[0]
        self._alive_at = 0.0  # on the loop's clock: when the venue last gave a sign of life, or reading began
        self._lost = ""  # why nothing is read

    def stalled(self) -> str | None:
        """What keeps this process from reading: where it should, and nothing came for REPORTS_STALLED_S."""
        silent_s = asyncio.get_running_loop().time() - self._alive_at
        if not self._owned.is_set() or silent_s < REPORTS_STALLED_S:
            return None
        return f"nothing came for {REPORTS_STALLED_S:g} s{self._lost and ': '}{self._lost}"

    def own(self, owned: bool) -> None:
        """Whether the reports are this process' to read. For the loop's own thread."""
        if not owned:
            self._owned.clear()
        elif not self._owned.is_set():
            self._alive_at = asyncio.get_running_loop().time()
            self._owned.set()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._owned.is_set():
                await first_of(self._owned, stop)
                continue
            try:
                await self._follow(stop)
            except ReportsLost as lost:
                self._lost = str(lost)
                log.warning("reports are read again", reason=str(lost))
            except StoreClosed:
                raise
            except EventStoreError as error:
                self._lost = str(error)
                log.warning("reports wait for the database", error=str(error))
            await first_of(stop, timeout_s=self._pause_s)
            self._pause_s = min(self._pause_s * 2, REPORT_RETRY_S[1])

    async def _follow(self, stop: asyncio.Event) -> None:
        position = await self._blocking(self._positions.read)
        stream = await self._open(position)
        seq = position.seq if stream.source in (position.source, None) else 0
        log.info("reports are read", after=seq, source=stream.source)
        opened_at = asyncio.get_running_loop().time()
        try:
            while self._owned.is_set() and not stop.is_set():
                batch = await self._venues(partial(stream.next_batch, REPORT_BATCH, REPORT_WAIT_S))
                self._hear(opened_at, reports=bool(batch))
                if batch:
                    await self.record(batch, stream.source)
                    await self._save(ReportPosition(stream.source, batch[-1].seq))
                self._pause_s = REPORT_RETRY_S[0]
        finally:
            _close_aside(stream)

    def _hear(self, opened_at: float, *, reports: bool) -> None:
        """A stream without a heartbeat is lost after REPORT_SILENCE_S: one that lives longer is idle, and well."""
        now = asyncio.get_running_loop().time()
        if reports or now - opened_at > REPORT_SILENCE_S:
            self._alive_at, self._lost = now, ""

    async def _open(self, position: ReportPosition) -> ReportStream:
        try:
            return await self._venues(partial(self._venue.reports, position))
        except OtherJournal as other:
            log.error("exchange numbers its reports anew: read from the first", reason=str(other))
            return await self._venues(partial(self._venue.reports, ReportPosition(other.source, 0)))

    async def record(self, batch: Sequence[Report], source: str | None) -> None:
        """Durable when it returns. Orders are recorded side by side, each one's reports in their order."""
        by_order: defaultdict[UUID, list[Report]] = defaultdict(list)
        unmatched: list[Report] = []
        for report in map(storable_report, batch):
            order_id = order_id_of(report)
            if order_id is None:
                unmatched.append(report)
            else:
                by_order[order_id].append(report)
        unmatched += await self._together(by_order)
        left = list(by_order.items())
        for start in range(0, len(left), REPORT_UNITS_IN_FLIGHT):
            some = left[start : start + REPORT_UNITS_IN_FLIGHT]
            for unfit in await asyncio.gather(*(self._record_or_keep(order_id, own) for order_id, own in some)):
                unmatched += unfit
        if unmatched:
            unmatched.sort(key=lambda report: report.seq)
            await self._recorder.persist(lambda: self._unmatched.keep(unmatched, source))

    async def _together(self, by_order: dict[UUID, list[Report]]) -> list[Report]:
        """Takes out of `by_order` what can be recorded at once, in few commits: the fills of orders known lately.

        Returns the reports that lack what they cannot do without.
        """
        unfit: list[Report] = []
        parts = [_Part(order_id, own, self._recorder.stamp(order_id)) for order_id, own in by_order.items()]
        for done in await asyncio.gather(*(self._one_commit(some) for some in _commits(parts))):
            for part in done:
                unfit += part.unfit
                del by_order[part.order_id]
        return unfit

    async def _one_commit(self, parts: list[_Part]) -> list[_Part]:
        """What of it could be recorded at once."""
        try:
            done = await self._recorder.record_folded({part.order_id: part.commands for part in parts})
        except TooLarge:  # for all together: each alone will do, or say so
            return []
        return [part for part in parts if part.order_id in done]

    async def _record_or_keep(self, order_id: UUID, reports: list[Report]) -> list[Report]:
        """`record_order`; an order that this release cannot read keeps no other's reports waiting."""
        try:
            return await self.record_order(order_id, reports)
        except UnknownEvent as error:
            log.error("order cannot be read: its reports are kept aside", order_id=str(order_id), error=str(error))
            return reports

    async def record_order(self, order_id: UUID, reports: list[Report]) -> list[Report]:
        """Durable when it returns, but for the reports that it returns: they fit no order, or cannot be.

        Raises: UnknownEvent, StoreClosed.
        """
        unfit: list[Report] = []
        for start in range(0, len(reports), MAX_UNIT_REPORTS):
            part = reports[start : start + MAX_UNIT_REPORTS]
            try:
                unfit += await self._record_part(order_id, part)
            except UnknownOrder:
                return reports
            except (Refusal, TooLarge):
                for report in part:  # one of them cannot be: it must not keep the others out
                    unfit += await self._record_one(order_id, report)
        return unfit

    async def _record_one(self, order_id: UUID, report: Report) -> list[Report]:
        try:
            return await self._record_part(order_id, [report])
        except (Refusal, TooLarge) as refused:
            log.error("report cannot be", order_id=str(order_id), seq=report.seq, reason=str(refused))
            return [report]

    async def _record_part(self, order_id: UUID, reports: list[Report]) -> list[Report]:
        """One unit. Returns the reports that lack what they cannot do without."""
        part = _Part(order_id, reports, self._recorder.stamp(order_id))
        await self._recorder.record_all(order_id, part.commands)
        return part.unfit

    async def _save(self, position: ReportPosition) -> None:
        await self._blocking(partial(self._positions.write, position))

    def _venues(self, function: Callable[[], T]) -> Awaitable[T]:
        return self._blocking(partial(_of_venue, function))

    def _blocking(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function)


def _of_venue(function: Callable[[], T]) -> T:
    """A call to the venue's client. Raises ReportsLost, whatever the client raises."""
    try:
        return function()
    except ReportsLost:
        raise
    except Exception as error:
        raise ReportsLost(f"the exchange's client failed: {error!r}") from error


def _close_aside(stream: ReportStream) -> None:
    """In a thread of its own: it is foreign code, and may hang."""

    def close() -> None:
        with suppress(ReportsLost):
            _of_venue(stream.close)

    Thread(target=close, name="stream close", daemon=True).start()


class _Part:
    """Reports of one order, as one unit. `unfit`: those that lack what they cannot do without, once asked."""

    def __init__(self, order_id: UUID, reports: list[Report], stamp: Stamp) -> None:
        self.order_id = order_id
        self.reports = reports
        self.unfit: list[Report] = []
        self._stamp = stamp

    def commands(self, order: Order) -> list[Command]:
        read = [(report, command_of(report, order, self._stamp)) for report in self.reports]
        self.unfit = [report for report, command in read if command is None]
        return [command for _, command in read if command is not None]


def _commits(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Parts that are committed together; a part too large for one unit is left out."""
    some: list[_Part] = []
    size = 0
    for part in parts:
        if len(part.reports) > MAX_UNIT_REPORTS:
            continue
        if size + len(part.reports) > COMMIT_REPORTS:
            yield some
            some, size = [], 0
        some.append(part)
        size += len(part.reports)
    if some:
        yield some
