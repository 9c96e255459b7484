"""Blocking reads of the store for an event loop: bounded in number, and in the time until they begin.

A frozen database holds each read for seconds. Were the others to queue behind it without a bound, they would wait for
minutes, each with its client's connection, until the process could take no more of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

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

    async def run(self, read: Callable[[], T]) -> T:
        """What the read returns. Cancelled, it leaves a read that has begun to its thread.

        Raises: StoreOverloaded, StoreUnavailable where it could not begin in time, what the read raises.
        """
        if self._asked >= self._most:
            raise StoreOverloaded(f"{self._asked} reads of the log wait already")
        loop = asyncio.get_running_loop()
        under_way = self._threads.submit(read)
        giving_up = loop.call_later(self._turn_s, under_way.cancel)  # in vain once it has begun
        self._asked += 1
        try:
            return await asyncio.wrap_future(under_way, loop=loop)
        except asyncio.CancelledError:
            if _is_asked_to_end():
                raise
            raise StoreUnavailable(f"reading the log: no thread was free within {self._turn_s:g} s") from None
        finally:
            giving_up.cancel()
            self._asked -= 1


def _is_asked_to_end() -> bool:
    """Whether it is the caller who is cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
