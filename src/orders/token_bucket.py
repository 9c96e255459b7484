"""A token bucket, kept as one time: pure, on whatever clock its callers count by."""

from __future__ import annotations


class Bucket:
    """Of `burst` tokens, empty at first, that gains `per_s` of them a second; both above 0, `burst` at least 1.

    In any t seconds at most `burst + per_s * t` tokens are spent by those who wait for `ready_at`. Kept as the one time
    at which it would be full (the "virtual scheduling" form of ITU-T I.371's generic cell rate algorithm).
    """

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self.full_at = now + burst / per_s

    def ready_at(self) -> float:
        """From when there is a whole token."""
        return self.full_at - (self._burst - 1.0) / self._per_s

    def tokens(self, now: float) -> float:
        """What is in it; below 0 where tokens are owed."""
        return self._burst - max(0.0, self.full_at - now) * self._per_s

    def spend(self, now: float, tokens: float = 1.0) -> None:
        """So many; where there are none, the next ones that come."""
        self.full_at = max(self.full_at, now) + tokens / self._per_s

    def give_back(self) -> None:
        self.full_at -= 1.0 / self._per_s

    def resize(self, per_s: float, burst: float, now: float) -> None:
        """What is in it, or owed, stays, up to the new size."""
        left = min(self.tokens(now), burst)
        self._per_s, self._burst = per_s, burst
        self.full_at = now + (burst - left) / per_s
