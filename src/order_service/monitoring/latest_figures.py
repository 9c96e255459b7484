"""Figures for /metrics that a query gives: read with a bound, and not at every scrape."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from order_service.bounds import FIGURES_CACHE_S, FIGURES_TIMEOUT_S

log = logging.getLogger(__name__)

T = TypeVar("T")


class LatestFigures(Generic[T]):
    """`value` is what `read` gave last; None while it raises or does not answer: nothing old. What it raises is logged,
    `failures` apart, which are foreseen."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        *failures: type[Exception],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.value: T | None = None
        self._read = read
        self._failures: tuple[type[Exception], ...] = (*failures, TimeoutError)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        async with self._lock:
            if self._clock() - self._read_at < FIGURES_CACHE_S:
                return
            (read,) = await asyncio.gather(self._in_time(), return_exceptions=True)
            if isinstance(read, BaseException) and not isinstance(read, self._failures):
                log.error("figures for /metrics could not be read", exc_info=read)
            self.value = None if isinstance(read, BaseException) else read
            self._read_at = self._clock()

    async def _in_time(self) -> T:
        """Does not wait until a read that took too long has given up: a server that hangs does not answer that either.
        Raises TimeoutError, and what the read raises."""
        reading = asyncio.ensure_future(self._read())
        try:
            done, _ = await asyncio.wait({reading}, timeout=FIGURES_TIMEOUT_S)
            if not done:
                raise TimeoutError
            return reading.result()
        finally:
            if not reading.done():
                reading.add_done_callback(lambda late: late.cancelled() or late.exception())
                reading.cancel()
