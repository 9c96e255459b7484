"""The circuit breaker: while a venue fails at every call, none is made but one probe now and then.

Nothing is written meanwhile, so an outage costs the log nothing, and its time counts towards no bound.
"""

from __future__ import annotations

import structlog

from exchange_adapter.bounds import BREAKER_OPENS_AFTER, BREAKER_PROBE_S

log = structlog.get_logger(__name__)


class Breaker:
    """Times are on the monotonic clock, in seconds."""

    def __init__(self, opens_after: int = BREAKER_OPENS_AFTER) -> None:
        self._opens_after = opens_after
        self._failures = 0
        self._retry_at: float | None = None
        self._pause_s = BREAKER_PROBE_S[0]
        self._probing = False
        self.opened_at: float | None = None
        """Since when it is open; None while it is closed."""

    @property
    def is_open(self) -> bool:
        return self._retry_at is not None

    @property
    def retry_at(self) -> float | None:
        """When the next probe may start; None where none is needed, or one is under way."""
        return None if self._probing else self._retry_at

    def allows(self, now: float) -> bool:
        return self._retry_at is None or (not self._probing and now >= self._retry_at)

    def enter(self) -> bool:
        """A call may follow. Whether it is the probe; the same is said at `leave`."""
        if self._retry_at is None:
            return False
        self._probing = True
        return True

    def leave(self, *, probe: bool, answered: bool | None, now: float) -> None:
        """`answered`: the venue said anything at all; None: no call was made after all."""
        if probe:
            self._probing = False
        if answered is None:
            return
        if answered:
            if self.is_open:
                log.warning("exchange answers again: calls go on")
            self._failures, self._retry_at, self._pause_s = 0, None, BREAKER_PROBE_S[0]
            self.opened_at = None
            return
        self._failures += 1
        if probe or (not self.is_open and self._failures >= self._opens_after):
            if not self.is_open:
                self.opened_at = now
                log.error(
                    "exchange fails at every call: no more attempts until a probe is answered", failures=self._failures
                )
            self._retry_at = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, BREAKER_PROBE_S[1])
