"""Many commands, one commit: a thread writes what has gathered while it wrote the batch before.

It takes what is there, without a timer, up to the bounds of a batch. A batch holds at most one unit of a stream; a
later one of the same stream is settled in memory where the first one's result decides it (an identical retry, a
certain conflict), else it goes into the next batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from uuid import UUID

from orders.bounds import (
    APPEND_TIMEOUT_S,
    HELD_UNITS,
    MAX_APPEND_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_UNITS,
    MAX_QUEUED_BYTES,
    MAX_QUEUED_UNITS,
)
from orders.eventstore import codec
from orders.eventstore.commits import Commits
from orders.eventstore.pending import Outcome, Pending, Result, Waiter, decided, join, settle, split
from orders.eventstore.port import (
    Appended,
    CommitUnknown,
    EncodedUnit,
    EventStore,
    EventStoreError,
    StoreClosed,
    StoreOverloaded,
    StoreUnavailable,
    TooLarge,
    Unit,
)

log = logging.getLogger(__name__)


class Writer:
    """Appends for a whole process. Events are encoded in the caller's thread, so that it hears of TooLarge at once."""

    def __init__(
        self,
        store: EventStore,
        *,
        max_queued: int = MAX_QUEUED_UNITS,
        max_batch_units: int = MAX_BATCH_UNITS,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        timeout_s: float = APPEND_TIMEOUT_S,
    ) -> None:
        self.last_position = 0
        """The highest position that this process has committed."""
        self.commits = Commits()
        self._store = store
        self._max_queued = max_queued
        self._max_batch_units = max_batch_units
        self._max_batch_bytes = max_batch_bytes
        self._timeout_s = timeout_s
        self._lock = Lock()  # over the four that follow
        self._open = False
        self._abandoned = False
        self._queued_units = 0
        self._queued_bytes = 0
        self._queue: SimpleQueue[Pending | None] = SimpleQueue()
        self._held: deque[Pending] = deque()  # the thread's own: came out of the queue, and fit no batch yet
        self._draining = False
        self._thread = Thread(target=self._run, name="group commit", daemon=True)

    def start(self) -> None:
        self._open = True
        self._thread.start()

    @property
    def queued(self) -> int:
        """Units that are not settled yet."""
        return self._queued_units

    def submit(self, unit: Unit) -> Future[Result]:
        """Raises at once: StoreClosed, StoreOverloaded, TooLarge, ValueError. The future ends within the time allowed
        with the result, StoreUnavailable, CommitUnknown or StoreClosed."""
        future: Future[Result] = Future()
        self._enqueue((self._encoded(unit, self._max_batch_bytes),), future, whole=False)
        return future

    async def append(self, unit: Unit) -> Result:
        """`submit` for a coroutine. Cancelling it leaves open whether the unit is written."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._enqueue((self._encoded(unit, self._max_batch_bytes),), future, whole=False)
        return await future

    async def append_whole(self, units: Sequence[Unit]) -> list[Result]:
        """Many units in one commit of their own; one result each, in order. A later unit of the same stream is a repeat
        or a conflict."""
        if not units:
            return []
        first, later = split([self._encoded(unit, MAX_APPEND_BYTES) for unit in units])
        size_bytes = sum(unit.size_bytes for unit in first)
        if size_bytes > MAX_APPEND_BYTES:
            raise TooLarge(f"{size_bytes} bytes in one commit, at most {MAX_APPEND_BYTES}")
        future: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._enqueue(first, future, whole=True)
        return join(len(units), first, later, await future)

    def close(self, timeout_s: float = APPEND_TIMEOUT_S) -> None:
        """Takes no more, and commits what waits; what is not under way by `timeout_s` fails with StoreClosed."""
        with self._lock:
            was_open, self._open = self._open, False
        if not was_open:
            return
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._abandoned = True
            self._settle([(pending, StoreClosed("the service stops")) for pending in self._left_in_queue()])

    def _encoded(self, unit: Unit, most_bytes: int) -> EncodedUnit:
        if not unit.events or unit.expected_version < 0:
            raise ValueError("a unit has at least one event, and expects version 0 or later")
        encoded = codec.encode_unit(unit)
        if encoded.size_bytes > most_bytes:
            raise TooLarge(f"{encoded.size_bytes} bytes in one unit, at most {most_bytes}")
        return encoded

    def _enqueue(self, units: tuple[EncodedUnit, ...], waiter: Waiter, *, whole: bool) -> None:
        pending = Pending(units, waiter, time.monotonic() + self._timeout_s, whole=whole)
        with self._lock:
            if not self._open:
                raise StoreClosed("the writer takes no appends")
            if (
                self._queued_units + len(units) > self._max_queued
                or self._queued_bytes + pending.size_bytes > MAX_QUEUED_BYTES
            ):
                raise StoreOverloaded(f"{self._queued_units} units wait already")
            self._queued_units += len(units)
            self._queued_bytes += pending.size_bytes
            self._queue.put(pending)

    def _run(self) -> None:
        while True:
            batch = self._take()
            if batch:
                self._commit(batch)
            elif self._draining and not self._held:
                return

    def _commit(self, batch: list[Pending]) -> None:
        if self._abandoned:
            self._settle([(pending, StoreClosed("the service stops")) for pending in batch])
            return
        outcomes = self._write(batch)
        if not self._held:
            self._settle(outcomes)
            return
        written = {
            unit.stream_id: (unit, result)
            for pending, outcome in outcomes
            if isinstance(outcome, list)
            for unit, result in zip(pending.units, outcome, strict=True)
        }
        self._settle([*outcomes, *self._decide_held(written)])

    def _write(self, batch: list[Pending]) -> list[tuple[Pending, Outcome]]:
        units = [unit for pending in batch for unit in pending.units]
        began_at = time.monotonic()
        left_s = min(pending.deadline for pending in batch) - began_at
        try:
            results = self._store.append_encoded(units, timeout_s=left_s)
        except EventStoreError as error:
            self.commits.fail(str(error), time.monotonic())
            log.warning("an append of %d units failed: %s", len(units), error)
            return [(pending, error) for pending in batch]
        except Exception as error:
            self.commits.fail(repr(error), time.monotonic())
            log.exception("an append of %d units failed", len(units))
            return [(pending, CommitUnknown(f"append: {error!r}")) for pending in batch]
        self.commits.done(len(units), time.monotonic() - began_at)
        self.last_position = max(
            (result.last_position for result in results if isinstance(result, Appended)), default=self.last_position
        )
        ordered = iter(results)
        return [(pending, [next(ordered) for _ in pending.units]) for pending in batch]

    def _decide_held(self, written: dict[UUID, tuple[EncodedUnit, Result]]) -> list[tuple[Pending, Outcome]]:
        """Takes out of those held what the batch has decided."""
        outcomes: list[tuple[Pending, Outcome]] = []
        still_held: deque[Pending] = deque()
        for pending in self._held:
            unit = pending.units[0]
            earlier = None if pending.whole else written.get(unit.stream_id)
            result = decided(*earlier, unit) if earlier else None
            if result is None:
                still_held.append(pending)
            else:
                outcomes.append((pending, [result]))
        self._held = still_held
        return outcomes

    def _take(self) -> list[Pending]:
        """The next batch; it waits while there is nothing. Empty where nothing remains to be written."""
        batch: list[Pending] = []
        expired: list[tuple[Pending, Outcome]] = []
        held: list[Pending] = []
        streams: set[UUID] = set()
        size_bytes = 0
        while len(batch) < self._max_batch_units and len(held) < HELD_UNITS:
            pending = self._next(wait=not (batch or held or expired))
            if pending is None:
                break
            if pending.expired():
                expired.append((pending, StoreUnavailable("append: the time allowed ended in the queue")))
                continue
            if pending.whole or size_bytes + pending.size_bytes > self._max_batch_bytes:
                if batch or held:
                    held.append(pending)
                else:
                    batch.append(pending)
                break
            if pending.units[0].stream_id in streams:
                held.append(pending)
                continue
            streams.add(pending.units[0].stream_id)
            size_bytes += pending.size_bytes
            batch.append(pending)
        self._held.extendleft(reversed(held))
        self._settle(expired)
        return batch

    def _next(self, *, wait: bool) -> Pending | None:
        """The oldest that waits; None where nothing does, or the queue is at its end."""
        if self._held:
            return self._held.popleft()
        while not self._draining:
            try:
                pending = self._queue.get(block=wait)
            except Empty:
                return None
            if pending is None:
                self._draining = True
            elif pending.begin():
                return pending
            else:
                self._forget([pending])
        return None

    def _left_in_queue(self) -> list[Pending]:
        left: list[Pending] = []
        while True:
            try:
                pending = self._queue.get_nowait()
            except Empty:
                self._queue.put(None)  # the thread's end, which may have been taken from it
                return left
            if pending is not None and pending.begin():
                left.append(pending)

    def _settle(self, outcomes: list[tuple[Pending, Outcome]]) -> None:
        if outcomes:
            self._forget([pending for pending, _ in outcomes])
            settle(outcomes)

    def _forget(self, settled: list[Pending]) -> None:
        with self._lock:
            self._queued_units -= sum(len(pending.units) for pending in settled)
            self._queued_bytes -= sum(pending.size_bytes for pending in settled)
