"""The log for clients that catch up: pages that many of them share.

A page holds the events of a fixed range of positions, so that a thousand clients that come back at once, each after a
position of its own, read and decode it once.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from operator import attrgetter
from typing import TypeVar

from orders.domain.instruments import Catalogue
from orders.eventstore.port import BrokenLog, EventStore
from projections.bounds import MAX_REPLAY_PAGES, MAX_REPLAY_READS, REPLAY_PAGE
from projections.feed import Circle, Entry, Subscription, Telling, entries

T = TypeVar("T")


class Page:
    """Entries in order. `last`: everything of its range up to here is in it."""

    def __init__(self, last: int, content: Sequence[Entry]) -> None:
        self.last = last
        self.content = content
        self._of_circle: defaultdict[Circle, list[Entry]] = defaultdict(list)
        for entry in content:
            for circle in entry.circles:
                self._of_circle[circle].append(entry)

    def after(self, position: int, wanted: Subscription) -> list[Telling]:
        """What a client that has everything up to a position is told of the rest."""
        found = self._of_circle.get(wanted.circle, ())
        start = bisect_right(found, position, key=attrgetter("position"))
        return [told for entry in found[start:] if (told := entry.telling(wanted)) is not None]


class LogReader:
    """For the event loop's own thread; what blocks runs in `threads`. All methods raise EventStoreError."""

    def __init__(self, store: EventStore, threads: Executor, catalogue: Catalogue) -> None:
        self.pages_read = 0
        """Reads of the log so far, for tests."""
        self._store = store
        self._threads = threads
        self._catalogue = catalogue
        self._turns = asyncio.Semaphore(MAX_REPLAY_READS)
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._reading: dict[int, asyncio.Task[Page]] = {}

    async def head(self) -> int:
        return await self._in_thread(self._store.head)

    async def page(self, after: int) -> Page:
        """The page with the event that follows a position which is not the log's last. Who waits for the same one
        waits for one read."""
        number = after // REPLAY_PAGE
        page = self._pages.get(number)
        if (page is None or page.last <= after) and (under_way := self._reading.get(number)) is not None:
            page = await asyncio.shield(under_way)
        if page is None or page.last <= after:
            # The read that was under way may have begun before the event was committed; this one begins after.
            page = await asyncio.shield(self._reading.get(number) or self._begin(number))
        if page.last <= after:
            raise BrokenLog(f"position {after + 1} is missing in the log")
        if number in self._pages:
            self._pages.move_to_end(number)
        return page

    def _begin(self, number: int) -> asyncio.Task[Page]:
        reading = self._reading[number] = asyncio.create_task(self._read(number))
        reading.add_done_callback(lambda done: self._read_ended(number, done))
        return reading

    async def _read(self, number: int) -> Page:
        """What is new of a page: the last one of the log grows."""
        known = self._pages.get(number)
        start, end = known.last if known else number * REPLAY_PAGE, (number + 1) * REPLAY_PAGE

        def read() -> Page:
            batch = self._store.read_log(after=start, limit=end - start)
            last = batch[-1].position if batch else start
            return Page(last, [*(known.content if known else ()), *entries(batch, self._catalogue)])

        self.pages_read += 1
        page = self._pages[number] = await self._in_thread(read)
        while len(self._pages) > MAX_REPLAY_PAGES:
            self._pages.popitem(last=False)
        return page

    def _read_ended(self, number: int, done: asyncio.Task[Page]) -> None:
        del self._reading[number]
        if not done.cancelled():
            done.exception()  # those who wait get it; where none is left, nobody needs it

    async def _in_thread(self, read: Callable[[], T]) -> T:
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(self._threads, read)
