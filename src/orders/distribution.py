"""How values spread over buckets: what Prometheus shows as a histogram, counted without it.

Counting is a bisection and an addition, so that it may stand where every order passes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct


class Observed(Struct, frozen=True):
    """`counts` by bucket, the last of what lies above every bound; `total` is the sum of the values."""

    counts: tuple[int, ...] = ()
    total: float = 0.0


class Distribution:
    """For one thread that observes; any other may read, and sees each value or not yet. `bounds` ascend; a value that
    equals one lies in its bucket (`le`)."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self._total += value

    def observed(self) -> Observed:
        return Observed(tuple(self._counts), self._total)
