"""A venue that works off so many requests a second: more of them wait, in the order they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from simulated_exchange.bounds import MAX_LATENCY_S
from simulated_exchange.faults import Faults

Then = Callable[[], None]


class _Waiting(Struct, frozen=True):
    came_at: float
    late_at: float
    then: Then
    refuse: Then


class Turnstile:
    """Lets requests through at `faults.plan.capacity` a second; at once where that is 0 and nobody waits.

    Time that the venue was idle gives no credit; time that the event loop was late is made up for.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._queue: deque[_Waiting] = deque()
        self._last_at = float("-inf")  # on the loop's clock: when the newest one passed, or should have
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def enter(self, taken_at: float, then: Then, refuse: Then) -> None:
        """Calls `then` when it is the request's turn, `refuse` where that comes MAX_LATENCY_S after `taken_at` (on the
        loop's clock), for a client may rest on it that nothing is looked at later."""
        now = asyncio.get_running_loop().time()
        self._queue.append(_Waiting(now, taken_at + MAX_LATENCY_S, then, refuse))
        if self._timer is None:
            self._let_through()

    def stop(self) -> None:
        """Nobody passes from here on."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _let_through(self) -> None:
        loop = asyncio.get_running_loop()
        now, self._timer = loop.time(), None
        while self._queue:
            first, capacity = self._queue[0], self._faults.plan.capacity
            turn_at = max(first.came_at, self._last_at + 1.0 / capacity) if capacity else now
            if turn_at > now:
                self._timer = loop.call_at(turn_at, self._let_through)
                return
            self._queue.popleft()
            if now > first.late_at:
                first.refuse()
            else:
                self._last_at = turn_at
                first.then()
