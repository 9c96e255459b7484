"""A venue's journal of reports, and a reader that takes it into a log in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from exchange_adapter.errors import OtherJournal, ReportsLost
from exchange_adapter.recorder import Recorder
from exchange_adapter.reports import ReportReader
from exchange_adapter.unmatched import UnmatchedReports
from exchange_adapter.venue import Report, ReportKind, ReportPosition
from orders.domain.events import ReportUnmatched
from orders.domain.terms import Rules
from orders.eventstore.port import StoreUnavailable
from orders.eventstore.read_threads import ReadThreads
from orders.handlers import CommandHandler
from tests.support.adapter_floor import FULL, Floor
from tests.support.virtual_time import InlineExecutor, pass_time

SOURCE = "journal-1"


class Journal:
    """The venue's reports, numbered from 1, and a stream of them that can be cut."""

    def __init__(self, pause_s: float = 0.0) -> None:
        """`pause_s`: how long a real thread waits for a report where none is there."""
        self.source = SOURCE
        self.pause_s = pause_s
        self.told = threading.Event()
        self.reports: list[Report] = []
        self.opened: list[ReportPosition] = []
        self.cut_after = -1  # reports handed out until the stream is lost; -1: never
        self.largest = 0

    def tell(self, kind: ReportKind, order_id: UUID | str, **fields: Any) -> Report:
        seq = len(self.reports) + 1
        report = Report(seq=seq, kind=kind, order_ref=str(order_id), raw=msgspec.json.encode({"seq": seq}), **fields)
        self.reports.append(report)
        self.told.set()
        return report

    def fill(self, order_id: UUID | str, quantity: int = 10, **fields: Any) -> Report:
        exec_id = f"E{len(self.reports) + 1}"
        return self.tell(
            ReportKind.FILLED, order_id, **{"exec_id": exec_id, "quantity": quantity, "price": Decimal("1.1"), **fields}
        )

    def stream(self, after: ReportPosition) -> Journal.Stream:
        self.opened.append(after)
        if after.source not in (None, self.source):
            raise OtherJournal("another journal", self.source)
        return Journal.Stream(self, after.seq)

    class Stream:
        def __init__(self, journal: Journal, seq: int) -> None:
            self.source: str | None = journal.source
            self._journal = journal
            self._seq = seq

        def next_batch(self, limit: int, timeout_s: float) -> Sequence[Report]:
            journal = self._journal
            if journal.cut_after == 0:
                journal.cut_after = -1
                raise ReportsLost("cut")
            most = limit if journal.cut_after < 0 else min(limit, journal.cut_after)
            batch = journal.reports[self._seq : self._seq + most]
            self._seq += len(batch)
            journal.cut_after -= len(batch) if journal.cut_after > 0 else 0
            journal.largest = max(journal.largest, len(batch))
            if not batch:
                journal.told.wait(journal.pause_s)
                journal.told.clear()
            return batch

        def close(self) -> None:
            pass


class Positions:
    def __init__(self) -> None:
        self.position = ReportPosition()
        self.on_write: Callable[[ReportPosition], None] = lambda position: None
        self.away = 0

    def read(self) -> ReportPosition:
        return self.position

    def write(self, position: ReportPosition) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.on_write(position)
        self.position = position


class Reading:
    def __init__(self, floor: Floor) -> None:
        self.journal, self.positions = Journal(), Positions()
        self.floor = floor
        floor.venue.reports = self.journal.stream  # type: ignore[method-assign]
        handler = CommandHandler(floor.store, floor.appender, Rules(venue=FULL), ReadThreads(InlineExecutor()))
        recorder = Recorder(handler, new_id=floor.new_id, utc=floor.loop.utc)
        unmatched = UnmatchedReports("test", floor.store, floor.appender, InlineExecutor(), floor.loop.utc)
        self.venue_stream = unmatched.stream_id
        self.reader = ReportReader(
            venue=floor.venue,
            recorder=recorder,
            positions=self.positions,
            unmatched=unmatched,
            thread=InlineExecutor(),
        )

    async def record(self) -> None:
        await self.reader.record(self.journal.reports, SOURCE)

    def unmatched(self) -> list[ReportUnmatched]:
        return [
            r.event for r in self.floor.store.read_stream(self.venue_stream) if isinstance(r.event, ReportUnmatched)
        ]


async def follow(reading: Reading, seconds: float) -> None:
    """Reads for a while; an idle stream takes half a second, as the real one does."""
    loop = reading.floor.loop
    stop = asyncio.Event()
    original = reading.reader._blocking

    async def blocking(function: Callable[[], Any]) -> Any:
        result = await original(function)
        if isinstance(result, list) and not result:
            await pass_time(0.5)
        return result

    reading.reader._blocking = blocking  # type: ignore[method-assign]
    reading.reader.own(True)
    task = loop.create_task(reading.reader.run(stop))
    await pass_time(seconds)
    stop.set()
    await task
