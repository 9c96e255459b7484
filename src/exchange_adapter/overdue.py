"""Calls that outlived their timeout: what they carry may still be on its way, from a thread of our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from uuid import UUID


class OverdueCalls:
    """By what they carry: the order, or the request. Those that run are bounded by the pool; an end is kept for
    `kept_s`."""

    def __init__(self, monotonic: Callable[[], float], kept_s: float) -> None:
        self._monotonic = monotonic
        self._kept_s = kept_s
        self._running: Counter[UUID] = Counter()
        self._ended_at: dict[UUID, float] = {}  # the oldest first

    def began(self, carried: UUID) -> None:
        self._running[carried] += 1

    def ended(self, carried: UUID) -> None:
        self._running[carried] -= 1
        if not self._running[carried]:
            del self._running[carried]
        now = self._monotonic()
        self._ended_at.pop(carried, None)
        self._ended_at[carried] = now
        while now - self._ended_at[oldest := next(iter(self._ended_at))] > self._kept_s:
            del self._ended_at[oldest]

    def ran_until(self, carried: UUID) -> float:
        """When the last of them ended: infinity while one runs, minus infinity where there was none lately."""
        return inf if carried in self._running else self._ended_at.get(carried, -inf)
