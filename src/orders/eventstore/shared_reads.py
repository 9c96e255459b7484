"""One read of the log for all who follow it in a process: pages of decoded events, kept for a while and fetched ahead.

The log is never changed, so that a page holds for all what one has read. It is contiguous: what does not follow on is
handed to who asked, who judges it, and is not kept. An error is never kept either, and comes at the same position as
from the store itself. A page has a lock, so that one reads it while the others wait for it.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import Protocol

from orders.bounds import READ_AHEAD_PAGES, READ_BATCH_EVENTS, SHARED_PAGES, STATEMENT_TIMEOUT_S
from orders.eventstore.port import EventStoreError, Recorded, StoreUnavailable


class Log(Protocol):
    """What a reader of the whole log needs of an `EventStore`."""

    def read_log(self, *, after: int, limit: int) -> list[Recorded]: ...


class _Page:
    """Events after `base` on, up to the end of the page."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.events: list[Recorded] = []
        self.lock = Lock()


class SharedReads:
    """`Log` over another one. Thread-safe. Holds SHARED_PAGES pages of READ_BATCH_EVENTS events at the most."""

    def __init__(self, log: Log, *, page_events: int = READ_BATCH_EVENTS, pages: int = SHARED_PAGES) -> None:
        self._log = log
        self._page_events = page_events
        self._most_pages = pages
        self._pages: OrderedDict[int, _Page] = OrderedDict()  # the least recently used first
        self._lock = Lock()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="log reader")
        self._fetching: dict[int, Future[None]] = {}

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        """As `EventStore.read_log`. There may be more than it returns, unless it returns nothing."""
        found: list[Recorded] = []
        while len(found) < limit:
            try:
                part = self._read(after + len(found), limit - len(found))
            except EventStoreError:
                if not found:
                    raise
                break  # the next call, which begins there, raises it
            found += part
            if not part or (after + len(found)) % self._page_events:
                return found
        self._fetch_ahead((after + len(found)) // self._page_events)
        return found

    def forget(self) -> None:
        """Nothing that was read so far is handed out any more: a failover may have lost the end of the log."""
        with self._lock:
            self._pages = OrderedDict()

    def close(self) -> None:
        self._ahead.shutdown(wait=False, cancel_futures=True)

    def _read(self, after: int, limit: int) -> list[Recorded]:
        """From the page in which the event after `after` is; empty at the end of the log."""
        page = self._page(after)
        if not page.lock.acquire(timeout=STATEMENT_TIMEOUT_S):
            raise StoreUnavailable(f"reading the log after {after}: another reader waits for the database")
        try:
            begin = after - page.base
            room = (after // self._page_events + 1) * self._page_events - after
            if not 0 <= begin <= len(page.events):
                return self._log.read_log(after=after, limit=min(limit, room))
            if begin == len(page.events):
                events = self._log.read_log(after=after, limit=min(limit, room))
                if events and events[-1].position - after != len(events):
                    return events
                page.events += events
            return page.events[begin : begin + limit]
        finally:
            page.lock.release()

    def _page(self, after: int) -> _Page:
        number = after // self._page_events
        with self._lock:
            page = self._pages.setdefault(number, _Page(after))
            self._pages.move_to_end(number)
            if len(self._pages) > self._most_pages:
                self._pages.popitem(last=False)
            return page

    def _fetch_ahead(self, first: int) -> None:
        """Starts to read what is asked for next, in a thread of its own."""
        with self._lock, suppress(RuntimeError):  # closed: nobody asks for more
            for number in range(first, first + READ_AHEAD_PAGES):
                if number not in self._pages and number not in self._fetching:
                    self._fetching[number] = self._ahead.submit(self._fetch, number)

    def _fetch(self, number: int) -> None:
        try:
            with suppress(EventStoreError):  # who asks for the page meets it again
                self._read(number * self._page_events, self._page_events)
        finally:
            with self._lock:
                self._fetching.pop(number, None)
