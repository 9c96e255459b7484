"""From values to pixels, and the round numbers that stand at an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)  # times a power of ten


class Scale(Struct, frozen=True, kw_only=True):
    """`low` is drawn at pixel `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Values outside are drawn at the edge."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        return _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high, about)


def linear(most: float, start: float, end: float) -> Scale:
    """From 0 to a round number that has room for `most`."""
    step = _round_up(max(most, 1.0) / 4)
    return Scale(low=0.0, high=step * math.ceil(max(most, 1.0) / step), start=start, end=end)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """Powers of ten, or halves of their way, around the values above zero; at least one decade."""
    positive = [value for value in values if value > 0] or [1.0, 10.0]
    low, high = _half_decade(min(positive), down=True), _half_decade(max(positive), down=False)
    return Scale(low=low, high=max(high, low * 10), start=start, end=end, log=True)


def _half_decade(value: float, *, down: bool) -> float:
    decade: float = 10.0 ** math.floor(math.log10(value))
    steps = [decade, decade * 2, decade * 5, decade * 10]
    return max(step for step in steps if step <= value * 1.000001) if down else min(s for s in steps if s >= value)


def _linear_ticks(low: float, high: float, about: int) -> list[float]:
    step = _round_up((high - low) / about)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade; where there are many decades, 1 only."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = (1.0,) if len(decades) > 4 else (1.0, 2.0, 5.0)
    values = [mark * 10.0**decade for decade in decades for mark in marks]
    return [value for value in values if low * 0.999 <= value <= high * 1.001]


def _round_up(value: float) -> float:
    decade: float = 10.0 ** math.floor(math.log10(value))
    return next(factor * decade for factor in ROUND if factor * decade >= value * 0.999999)
