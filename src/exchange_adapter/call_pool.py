"""The bounded pool of threads that calls to the venue run in.

A seat is taken before the claim that leads to its call. A call that outlives its timeout keeps its seat and its thread
until it returns; when LOST_SHARE of the pool is lost so, the process has to be started afresh. One lost call alone is
no reason for that while another seat is left.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

import structlog
from msgspec import Struct

from exchange_adapter.bounds import CALL_THREADS, IDLE_THREAD_S, LEAST_LOST, LOST_SHARE, START_BOUND_S

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Raised(Struct, frozen=True):
    """The call raised this: no one knows what it did."""

    error: str


class TooLate(Struct, frozen=True):
    """The call was not made: the start bound was over, no thread could be started, or the process stops."""


class TimedOut(Struct, Generic[T], frozen=True):
    """The call still runs; `ended` will have what it returns, should it return."""

    ended: asyncio.Future[T | Raised | TooLate]


class Threads:
    """Runs jobs in daemon threads, started on demand, so that one that hangs never holds up the process' end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def run(self, job: Callable[[], None]) -> None:
        """Raises: RuntimeError where no thread can be started; then the job is never run."""
        with self._lock:
            grow = self._idle == 0
            self._idle -= not grow
        if grow:
            threading.Thread(target=self._work, name="venue-call", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_THREAD_S)
            except Empty:
                with self._lock:
                    if self._idle > 0:
                        self._idle -= 1
                        return
                continue  # a job was promised to an idle thread just now
            job()
            del job  # an idle thread keeps nothing alive
            with self._lock:
                self._idle += 1


class Calls:
    """For one event loop. `monotonic` is the clock of the start bound."""

    def __init__(
        self,
        limit: int = CALL_THREADS,
        *,
        run: Callable[[Callable[[], None]], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.busy = 0
        """Seats taken, lost ones included."""
        self.running = 0
        """Calls within their timeout."""
        self.lost = 0
        """Seats of calls that are past their timeout."""
        self.limit = limit
        self.open = True
        """Calls may begin."""
        self.on_free: Callable[[], None] = lambda: None
        """Called when a call that hung has returned, and with it its seat, which nobody waits for any more."""
        self._run = run or Threads().run
        self._monotonic = monotonic

    @property
    def exhausted(self) -> bool:
        """A quarter of the pool hangs, and two calls at least; of a pool of one, the one."""
        return self.lost * LOST_SHARE >= self.limit and self.lost >= min(LEAST_LOST, self.limit)

    def close(self) -> None:
        """From now on a submit that was claimed ends as TooLate instead of being called. What runs goes on."""
        self.open = False

    def take_seat(self) -> Seat | None:
        """None where all are taken."""
        if self.busy >= self.limit:
            return None
        self.busy += 1
        return Seat(self)

    def start(self, call: Callable[[], T], claimed_at: float | None) -> asyncio.Future[T | Raised | TooLate]:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T | Raised | TooLate] = loop.create_future()

        def job() -> None:
            result = self._result(call, claimed_at)
            try:
                loop.call_soon_threadsafe(ended.set_result, result)
            except RuntimeError:
                return  # the loop is closed: the process stops

        try:
            self._run(job)
        except RuntimeError as error:
            log.error("no thread for a call", error=str(error))
            ended.set_result(TooLate())
        return ended

    def _result(self, call: Callable[[], T], claimed_at: float | None) -> T | Raised | TooLate:
        """The clock is read in the thread itself: whatever held it up before counts."""
        if claimed_at is not None and (not self.open or self._monotonic() - claimed_at > START_BOUND_S):
            return TooLate()
        try:
            return call()
        except BaseException as error:  # noqa: BLE001 - foreign code in a thread's outermost loop: it may raise anything
            return Raised(f"{type(error).__name__}: {error}")


class Seat:
    """The right to run one call at a time. Released by its holder, or when its lost call returns."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._lost = False

    async def call(
        self, call: Callable[[], T], timeout_s: float, *, claimed_at: float | None = None
    ) -> T | Raised | TooLate | TimedOut[T]:
        """With `claimed_at`, the call is not made once the start bound, counted from there, is over."""
        ended = self._calls.start(call, claimed_at)
        self._calls.running += 1
        try:
            await asyncio.wait((ended,), timeout=timeout_s)
        finally:
            self._calls.running -= 1
        if ended.done():
            return ended.result()
        self._lost = True
        self._calls.lost += 1
        ended.add_done_callback(self._found)
        return TimedOut(ended)

    def release(self) -> None:
        if not self._lost:
            self._calls.busy -= 1

    def _found(self, ended: object) -> None:
        self._calls.lost -= 1
        self._calls.busy -= 1
        self._calls.on_free()
