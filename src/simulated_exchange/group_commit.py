"""Many entries, one fsync: what became ready while the disk was busy is written together.

Nothing is told to anyone before what it says is on disk, so answers wait here beside the entries: also an answer
that only reads, for what it read may not be on disk yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from simulated_exchange.entries import Entry, encode_entry
from simulated_exchange.journal import Journal
from simulated_exchange.report_log import ReportLog

OnDurable = Callable[[], None]


class GroupCommit:
    """Memory is bounded by the connections' bounds of requests in flight."""

    def __init__(self, journal: Journal, reports: ReportLog) -> None:
        self._journal = journal
        self._reports = reports
        self._lines: list[tuple[bytes, list[bytes]]] = []
        self._waiting: list[OnDurable] = []
        self._ready = asyncio.Event()
        self._stopping = False
        self.new_reports = asyncio.Event()  # replaced at each commit that has reports

    def add(self, entry: Entry) -> None:
        self._lines.append(encode_entry(entry))
        self._ready.set()

    def when_durable(self, then: OnDurable) -> None:
        """Calls back when all that was added so far is on disk."""
        self._waiting.append(then)
        self._ready.set()

    def stop(self) -> None:
        """`run` ends when everything added is on disk and told."""
        self._stopping = True
        self._ready.set()

    async def run(self) -> None:
        """Until `stop`. Raises JournalUnwritable when the disk fails: what is in memory is then ahead of it."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="journal") as disk:
            while True:
                await self._ready.wait()
                self._ready.clear()
                lines, self._lines = self._lines, []
                waiting, self._waiting = self._waiting, []
                if lines:
                    await loop.run_in_executor(disk, self._journal.append, [line for line, _ in lines])
                    self._publish(lines)
                for then in waiting:
                    then()
                if self._stopping and not self._lines and not self._waiting:
                    return

    def _publish(self, lines: list[tuple[bytes, list[bytes]]]) -> None:
        before = self._reports.last_seq
        self._reports.extend(lines)
        if self._reports.last_seq > before:
            self.new_reports.set()
            self.new_reports = asyncio.Event()
