"""Following the log: catch up from a position, then live, without gap or repeat.

A subscription reads the log after its own position, and positions have no holes in commit order (port.py); so catching
up and following live are the same read. NOTIFY only makes it earlier: it is a hint, and a half-open connection can
silence it for ever, so the log is read at the poll interval at the latest.
"""

from __future__ import annotations

import logging
import time
from threading import Condition, Event, Lock, Thread
from typing import Protocol

import psycopg

from orders.bounds import FIRST_BACKOFF_S, MAX_BACKOFF_S, POLL_INTERVAL_S, READ_BATCH_EVENTS
from orders.eventstore.connections import BoundedConnection, connect
from orders.eventstore.port import BrokenLog, Recorded, UnknownEvent
from orders.eventstore.shared_reads import Log

log = logging.getLogger(__name__)


class Hints(Protocol):
    """Says that there may be something new. Thread-safe, for any number of waiters."""

    def wait(self, seen: int, timeout_s: float) -> int:
        """The number of hints so far: as soon as there are more than `seen`, at the latest after `timeout_s`."""
        ...

    def close(self) -> None:
        """Wakes all who wait; no hints come any more."""
        ...


class MemoryHints:
    """Hints within a process."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = Condition()

    def give(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._count > seen, timeout_s)
            return self._count

    def close(self) -> None:
        self.give()


class PostgresHints:
    """NOTIFY on a channel, heard on a connection of its own that needs a session (`direct_url`: no pooler).

    From the first wait on a thread listens and reconnects by itself, so that waiting never waits for a connection.
    """

    def __init__(
        self, direct_url: str, *, channel: str = "order_events", application_name: str = "orders hints"
    ) -> None:
        self._url = direct_url
        self._channel = channel
        self._application_name = application_name
        self._hints = MemoryHints()
        self._stop = Event()
        self._thread: Thread | None = None
        self._starting = Lock()

    def wait(self, seen: int, timeout_s: float) -> int:
        self._listen_from_now_on()
        return self._hints.wait(seen, timeout_s)

    def close(self) -> None:
        self._stop.set()
        self._hints.close()
        if self._thread is not None:
            self._thread.join(POLL_INTERVAL_S * 4)

    def _listen_from_now_on(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"hints of {self._channel}", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            try:
                with connect(self._url, application_name=self._application_name) as connection:
                    connection.execute(f'listen "{self._channel}"')
                    backoff_s = FIRST_BACKOFF_S
                    self._hints.give()  # what came before the listening
                    self._listen(connection)
            except psycopg.Error as error:
                log.info("hints of %s: %s; polling meanwhile", self._channel, str(error).strip())
                self._stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    def _listen(self, connection: BoundedConnection) -> None:
        while not self._stop.is_set():
            if list(connection.notifies(timeout=POLL_INTERVAL_S, stop_after=1)):
                self._hints.give()


class Subscription:
    """One reader of the log, for one thread. `position`: everything up to here was handed out."""

    def __init__(self, store: Log, *, after: int, hints: Hints, limit: int = READ_BATCH_EVENTS) -> None:
        self.position = after
        self._store = store
        self._hints = hints
        self._most = limit
        self._limit = limit
        self._seen = 0

    def next_batch(self, timeout_s: float, *, limit: int | None = None) -> list[Recorded]:
        """The events that follow the last batch, in order; empty where none comes within `timeout_s`.

        Raises: StoreUnavailable (call again: nothing is skipped); BrokenLog or UnknownEvent of the next event, when all
        before it are handed out.
        """
        give_up_at = time.monotonic() + timeout_s
        while True:
            batch = self._read(limit or self._most)
            if batch:
                self._check(batch)
                self.position = batch[-1].position
                return batch
            left_s = give_up_at - time.monotonic()
            if left_s <= 0:
                return []
            # A hint that came since the last wait makes this one return at once: none is lost between read and wait.
            self._seen = self._hints.wait(self._seen, min(left_s, POLL_INTERVAL_S))

    def _read(self, most: int) -> list[Recorded]:
        """Less and less where one event of many cannot be read, so that those before it can."""
        while True:
            limit = min(self._limit, most)
            try:
                batch = self._store.read_log(after=self.position, limit=limit)
            except UnknownEvent:
                if limit == 1:
                    raise
                self._limit = limit // 2
            else:
                self._limit = min(self._limit * 2, self._most)
                return batch

    def _check(self, batch: list[Recorded]) -> None:
        if batch[-1].position - self.position != len(batch):
            at = next(n for n, event in enumerate(batch, self.position + 1) if event.position != n)
            raise BrokenLog(f"position {at} is missing in the log")
