"""The exchange's time: the wall clock's, but never backwards and never standing still."""

from __future__ import annotations

import time


class Clock:
    """Microseconds since 1970 UTC. Where the wall clock steps back, time goes on from where it was."""

    def __init__(self, not_before: int) -> None:
        self._last_us = not_before
        self._last_ns = time.monotonic_ns()

    def now(self) -> int:
        elapsed_us = (time.monotonic_ns() - self._last_ns) // 1_000
        self._last_us += elapsed_us
        self._last_ns += elapsed_us * 1_000
        self._last_us = max(self._last_us, time.time_ns() // 1_000)
        return self._last_us
