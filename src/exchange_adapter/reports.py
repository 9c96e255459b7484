"""Reads the venue's execution reports into the log: fills first, then the position in the stream.

What comes again after a crash or a cut in between changes nothing: the domain knows a fill by its exec_id. The next
batch is read when the last one is durable, so a slow database slows the reading down, and memory stays bounded.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar
from uuid import UUID

import structlog

from exchange_adapter.bounds import (
    MAX_UNIT_REPORTS,
    REPORT_BATCH,
    REPORT_RETRY_S,
    REPORT_UNITS_IN_FLIGHT,
    REPORT_WAIT_S,
)
from exchange_adapter.errors import OtherJournal, ReportsLost
from exchange_adapter.recorder import Recorder
from exchange_adapter.report_position import ReportPositions
from exchange_adapter.report_words import command_of, order_id_of
from exchange_adapter.unmatched import UnmatchedReports
from exchange_adapter.venue import Report, ReportPosition, ReportStream, Venue
from exchange_adapter.waiting import first_of
from orders.domain.commands import Command
from orders.domain.errors import Refusal, UnknownOrder
from orders.domain.events import OrderExecuted
from orders.domain.order import Order
from orders.domain.values import Phase
from orders.eventstore.port import StoreUnavailable
from orders.handlers import Done

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

    def own(self, owned: bool) -> None:
        """Whether the reports are this process' to read. For the loop's own thread."""
        if owned:
            self._owned.set()
        else:
            self._owned.clear()

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if not self._owned.is_set():
                await first_of(self._owned, stop)
                continue
            try:
                await self._follow(stop)
            except ReportsLost as lost:
                log.warning("reports are read again", reason=str(lost))
            except StoreUnavailable as error:
                log.warning("reports wait for the database", error=str(error))
            await first_of(stop, timeout_s=self._pause_s)
            self._pause_s = min(self._pause_s * 2, REPORT_RETRY_S[1])

    async def _follow(self, stop: asyncio.Event) -> None:
        position = await self._blocking(self._positions.read)
        stream = await self._open(position)
        seq = position.seq if stream.source in (position.source, None) else 0
        log.info("reports are read", after=seq, source=stream.source)
        try:
            while self._owned.is_set() and not stop.is_set():
                batch = await self._blocking(partial(stream.next_batch, REPORT_BATCH, REPORT_WAIT_S))
                if batch:
                    await self.record(batch, stream.source)
                    await self._save(ReportPosition(stream.source, batch[-1].seq))
                self._pause_s = REPORT_RETRY_S[0]
        finally:
            stream.close()

    async def _open(self, position: ReportPosition) -> ReportStream:
        try:
            return await self._blocking(partial(self._venue.reports, position))
        except OtherJournal as other:
            log.error("exchange numbers its reports anew: read from the first", reason=str(other))
            return await self._blocking(partial(self._venue.reports, ReportPosition(other.source, 0)))

    async def record(self, batch: Sequence[Report], source: str | None) -> None:
        """Durable when it returns. Orders are recorded side by side, each one's reports in their order."""
        by_order: defaultdict[UUID, list[Report]] = defaultdict(list)
        unmatched: list[Report] = []
        for report in batch:
            order_id = order_id_of(report)
            if order_id is None:
                unmatched.append(report)
            else:
                by_order[order_id].append(report)
        room = asyncio.Semaphore(REPORT_UNITS_IN_FLIGHT)
        unfit = await asyncio.gather(*(self._of_order(order_id, own, room) for order_id, own in by_order.items()))
        unmatched += [report for reports in unfit for report in reports]
        if unmatched:
            unmatched.sort(key=lambda report: report.seq)
            await self._recorder.persist(lambda: self._unmatched.keep(unmatched, source))

    async def _of_order(self, order_id: UUID, reports: list[Report], room: asyncio.Semaphore) -> list[Report]:
        """Returns the reports that fit no order, or cannot be."""
        async with room:
            unfit: list[Report] = []
            for start in range(0, len(reports), MAX_UNIT_REPORTS):
                part = reports[start : start + MAX_UNIT_REPORTS]
                try:
                    unfit += await self._record_part(order_id, part)
                except UnknownOrder:
                    return reports
                except Refusal:
                    for report in part:  # one of them cannot be: it must not keep the others out
                        unfit += await self._record_one(order_id, report)
            return unfit

    async def _record_one(self, order_id: UUID, report: Report) -> list[Report]:
        try:
            return await self._record_part(order_id, [report])
        except Refusal as refused:
            log.error("report cannot be", order_id=str(order_id), seq=report.seq, reason=str(refused))
            return [report]

    async def _record_part(self, order_id: UUID, part: list[Report]) -> list[Report]:
        """One unit. Returns the reports that lack what they cannot do without."""
        stamp, unfit = self._recorder.stamp(order_id), list[Report]()

        def commands(order: Order) -> list[Command]:
            read = [(report, command_of(report, order, stamp)) for report in part]
            unfit[:] = [report for report, command in read if command is None]
            return [command for _, command in read if command is not None]

        _tell_contradictions(await self._recorder.record_all(order_id, commands))
        return unfit

    async def _save(self, position: ReportPosition) -> None:
        await self._blocking(partial(self._positions.write, position))

    def _blocking(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function)


def _tell_contradictions(done: Done) -> None:
    """The venue's word wins, and is recorded; a person should know."""
    order = done.order
    if not any(isinstance(recorded.event, OrderExecuted) for recorded in done.events):
        return
    if order.overfilled:
        log.error("order overfilled", order_id=str(order.id), quantity=order.quantity, filled=order.filled)
    if order.phase not in (Phase.OPEN, Phase.FILLED):
        log.error("order filled after its end", order_id=str(order.id), ended=order.phase.value, filled=order.filled)
