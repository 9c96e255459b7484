"""The log as it grows, on the event loop: one thread follows it for the whole process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from threading import Event, Semaphore, Thread

from orders.bounds import FIRST_BACKOFF_S, MAX_BACKOFF_S, POLL_INTERVAL_S
from orders.eventstore.port import EventStore, EventStoreError, Recorded
from orders.eventstore.subscription import Hints, Subscription

log = logging.getLogger(__name__)

Callback = Callable[[list[Recorded]], None]

HANDED_OVER = 2  # batches on their way to the loop: the next is read while one is handed out


class LiveLog:
    """From the head at `start()` on, all events in order. All methods but `close` are for the loop's own thread."""

    def __init__(self, store: EventStore, hints: Hints) -> None:
        self.position = 0
        """All events up to here were handed to every callback that listened then."""
        self._store = store
        self._hints = hints
        self._callbacks: dict[int, Callback] = {}
        self._numbers = count()
        self._waiters: list[tuple[int, int, asyncio.Future[bool]]] = []
        self._room = Semaphore(HANDED_OVER)
        self._stop = Event()
        self._thread: Thread | None = None

    async def start(self) -> None:
        """Raises StoreUnavailable where the head cannot be read."""
        loop = asyncio.get_running_loop()
        self.position = await asyncio.to_thread(self._store.head)
        subscription = Subscription(self._store, after=self.position, hints=self._hints)
        self._thread = Thread(target=self._follow, args=(subscription, loop), name="live log", daemon=True)
        self._thread.start()

    def listen(self, callback: Callback) -> Callable[[], None]:
        """Calls `callback` with every batch from now on, until the function that this returns is called."""
        number = next(self._numbers)
        self._callbacks[number] = callback
        return lambda: self._callbacks.pop(number, None) and None

    async def wait_for(self, position: int, timeout_s: float) -> bool:
        """Whether everything up to `position` was handed out within `timeout_s`."""
        if self.position >= position:
            return True
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiter = (position, next(self._numbers), future)
        heappush(self._waiters, waiter)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return self.position >= position
        finally:
            if waiter in self._waiters:  # in vain
                self._waiters.remove(waiter)
                heapify(self._waiters)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(POLL_INTERVAL_S * 4)

    def _follow(self, subscription: Subscription, loop: asyncio.AbstractEventLoop) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._stop.is_set():
            try:
                batch: list[Recorded] | None = subscription.next_batch(POLL_INTERVAL_S)
                backoff_s = FIRST_BACKOFF_S
            except EventStoreError as error:
                log.warning("the live log waits after position %d: %s", subscription.position, error)
                batch = None
            except Exception:
                log.exception("the live log waits after position %d", subscription.position)
                batch = None
            if batch is None:
                self._stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
            elif batch and not self._hand_over(batch, loop):
                return

    def _hand_over(self, batch: list[Recorded], loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the loop takes the batch; it waits while the loop is behind, so that memory stays bounded."""
        while not self._room.acquire(timeout=POLL_INTERVAL_S):
            if self._stop.is_set():
                return False
        try:
            loop.call_soon_threadsafe(self._deliver, batch, loop)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _deliver(self, batch: list[Recorded], loop: asyncio.AbstractEventLoop) -> None:
        # Each by itself, so that the loop's exception handler gets what one raises and the others are called.
        for callback in tuple(self._callbacks.values()):
            loop.call_soon(callback, batch)
        loop.call_soon(self._delivered, batch[-1].position)

    def _delivered(self, position: int) -> None:
        self.position = position
        self._room.release()
        while self._waiters and (self._waiters[0][0] <= position or self._waiters[0][2].done()):
            future = heappop(self._waiters)[2]
            if not future.done():
                future.set_result(True)
