"""The circuit breaker: while a venue fails at every call, none is made but one probe now and then.

Nothing is written meanwhile, so an outage costs the log nothing, and its time counts towards no bound.

It also keeps small what a venue that hangs leaves in doubt, for such a call fails only at its timeout, and many could
begin before the first one has. Calls in flight, with the failures in a row, stay below a window: as many as open the
breaker at first and once a probe was answered, WINDOW_GROWTH more with each answer, up to MOST_UNUSED times what was in
flight (TCP's slow start, RFC 5681, without room that was never used). In a long silence the first window holds again.
"""

from __future__ import annotations

import math

import structlog

from exchange_adapter.bounds import BREAKER_OPENS_AFTER, BREAKER_PROBE_S, MOST_UNUSED, WINDOW_GROWTH

log = structlog.get_logger(__name__)


class Breaker:
    """Times are on the monotonic clock, in seconds. `silent_after_s`: calls are in flight and none was answered."""

    def __init__(self, opens_after: int = BREAKER_OPENS_AFTER, *, silent_after_s: float = math.inf) -> None:
        self._opens_after = opens_after
        self._silent_after_s = silent_after_s
        self._window = opens_after
        self._in_flight = 0
        self._most_in_flight = 0
        self._silent_since = math.inf
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

    def has_room(self, now: float) -> bool:
        """Whether one more call fits into the window. Where it does not, a call in flight ends and makes room."""
        window = self._opens_after if now - self._silent_since > self._silent_after_s else self._window
        return self._in_flight + self._failures < window

    def allows(self, now: float) -> bool:
        if self._retry_at is None:
            return self.has_room(now)
        return not self._probing and now >= self._retry_at

    def enter(self, now: float) -> bool:
        """A call may follow, and `leave` will. Whether it is the probe; the same is said at `leave`."""
        if self._in_flight == 0:
            self._silent_since = now
        self._in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight)
        if self._retry_at is None:
            return False
        self._probing = True
        return True

    def leave(self, *, probe: bool, answered: bool | None, now: float) -> None:
        """`answered`: the venue said anything at all; None: no call was made after all."""
        if probe:
            self._probing = False
        if answered:
            self._answered(now)
        self._in_flight -= 1
        if self._in_flight == 0:
            self._silent_since = math.inf
        if answered is False:
            self._failed(probe=probe, now=now)

    def _answered(self, now: float) -> None:
        self._silent_since = now
        if self.is_open:
            log.warning("exchange answers again: calls go on")
            self._window, self._most_in_flight = self._opens_after, self._in_flight
        elif self._window < self._most_in_flight * MOST_UNUSED:
            self._window += WINDOW_GROWTH
        self._failures, self._retry_at, self._pause_s = 0, None, BREAKER_PROBE_S[0]
        self.opened_at = None

    def _failed(self, *, probe: bool, now: float) -> None:
        self._failures += 1
        if probe or (not self.is_open and self._failures >= self._opens_after):
            if not self.is_open:
                self.opened_at = now
                log.error(
                    "exchange fails at every call: no more attempts until a probe is answered", failures=self._failures
                )
            self._retry_at = now + self._pause_s
            self._pause_s = min(self._pause_s * 2, BREAKER_PROBE_S[1])
