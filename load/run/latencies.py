"""Times as HDR histograms: every percentile to one in a thousand, however many there were."""

from __future__ import annotations

from collections.abc import Sequence

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

LOWEST_US, HIGHEST_US = 1, 3_600_000_000  # a microsecond to an hour: an order waits as long as its exchange is away
DIGITS = 3
CURVE_POINTS_PER_HALF = 4  # of the curve: so many between 50 % and 75 %, 75 % and 87.5 %, and so on

Curve = list[tuple[float, float]]
"""Percentile and milliseconds, rising."""


class Latencies:
    def __init__(self, digits: int = DIGITS) -> None:
        self._histogram = HdrHistogram(LOWEST_US, HIGHEST_US, digits)

    def add(self, seconds: float) -> None:
        """What is below a microsecond counts as one: clocks of two machines may differ."""
        self._histogram.record_value(min(HIGHEST_US, max(LOWEST_US, round(seconds * 1_000_000))))

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def percentile_ms(self, percent: float) -> float:
        """0 where there is nothing."""
        return self.percentiles_ms([percent])[0]

    def percentiles_ms(self, percents: Sequence[float]) -> list[float]:
        """The same of many in one pass, which is what costs."""
        if not self.count:
            return [0.0] * len(percents)
        found = self._histogram.get_percentile_to_value_dict(percents)
        return [float(found[percent]) / 1000 for percent in percents]

    def curve(self) -> Curve:
        """As HDR plots show it: ever finer towards 100 %, up to the last one that a measurement stands behind."""
        if not self.count:
            return []
        nearest = 100.0 / self.count  # closer to 100 % than this is nobody but the worst
        percents: list[float] = []
        left, step = 100.0, 100.0 / 2 / CURVE_POINTS_PER_HALF
        while left > nearest / 2:
            percents.append(100.0 - left)
            left -= step
            if len(percents) % CURVE_POINTS_PER_HALF == 0:
                step /= 2
        *times, worst = self.percentiles_ms([*percents, 100.0])
        return [*zip(percents, times, strict=True), (100.0 - nearest / 2, worst)]
