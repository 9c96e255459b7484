"""Blocking reads of the store for an event loop: bounded in number, and in the time until they begin.

A frozen database holds each read for seconds. Were the others to queue behind it without a bound, they would wait for
minutes, each with its client's connection, until the process could take no more of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from orders.bounds import MAX_QUEUED_READS, READ_TURN_S
from orders.eventstore.port import StoreOverloaded, StoreUnavailable

T = TypeVar("T")


class ReadThreads:
    """For one event loop. At most `most` reads are there at once, and each begins within `turn_s`; how long it takes
    then is the store's to bound."""

    def __init__(self, threads: Executor, *, most: int = MAX_QUEUED_READS, turn_s: float = READ_TURN_S) -> None:
        self._threads = threads
        self._most = most
        self._turn_s = turn_s
        self._asked = 0
        self._turns: deque[tuple[float, Future[Any]]] = deque()
        """By when each is to begin, in order. One timer for all: one each would cost a read a fifth more."""
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, read: Callable[[], T]) -> T:
        """What the read returns. Cancelled, it leaves a read that has begun to its thread.

        Raises: StoreOverloaded, StoreUnavailable where it could not begin in time, what the read raises.
        """
        if self._asked >= self._most:
            raise StoreOverloaded(f"{self._asked} reads of the log wait already")
        loop = asyncio.get_running_loop()
        under_way = self._threads.submit(read)
        self._turns.append((loop.time() + self._turn_s, under_way))
        if self._timer is None:
            self._timer = loop.call_later(self._turn_s, self._give_up, loop)
        self._asked += 1
        try:
            return await asyncio.wrap_future(under_way, loop=loop)
        except asyncio.CancelledError:
            if _is_asked_to_end():
                raise
            raise StoreUnavailable(f"reading the log: no thread was free within {self._turn_s:g} s") from None
        finally:
            self._asked -= 1
            while self._turns and self._turns[0][1].done():
                self._turns.popleft()

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Those whose time is over; in vain where they have begun."""
        while self._turns and self._turns[0][0] <= loop.time():
            self._turns.popleft()[1].cancel()
        self._timer = loop.call_at(self._turns[0][0], self._give_up, loop) if self._turns else None


def _is_asked_to_end() -> bool:
    """Whether it is the caller who is cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
