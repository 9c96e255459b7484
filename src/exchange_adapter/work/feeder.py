"""Fills the window: with what the log's follower has just told, and from the table when few duties are left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from functools import partial

import structlog

from exchange_adapter.bounds import DATABASE_RETRY_S, REFILL_POLL_S, SWEEP_S, WINDOW_DUTIES
from exchange_adapter.clock import Clock
from exchange_adapter.waiting import first_of
from exchange_adapter.work.duties import Changed, DueDuties, is_workable
from exchange_adapter.work.window import DutyWindow
from orders.domain.values import Capabilities
from orders.eventstore.port import StoreUnavailable

log = structlog.get_logger(__name__)


class Feeder:
    """For the loop's own thread. `wake` is called when the window has got something. Reads run in `threads`."""

    def __init__(
        self,
        *,
        duties: DueDuties,
        window: DutyWindow,
        venue: Capabilities,
        wake: Callable[[], None],
        clock: Clock,
        threads: Executor,
        limit: int = WINDOW_DUTIES,
    ) -> None:
        self._duties = duties
        self._window = window
        self._venue = venue
        self._wake = wake
        self._clock = clock
        self._threads = threads
        self._limit = limit
        self._shards: frozenset[int] = frozenset()
        self._look = asyncio.Event()

    def own(self, shards: Collection[int]) -> None:
        """From now on, duties of these shards; they are read from the table at once."""
        self._shards = frozenset(shards)
        self._window.own(self._shards)
        self._look.set()

    def changed(self, changed: Changed) -> None:
        """What the follower of this process has just committed."""
        self._window.remove(changed.settled)
        self._window.put(duty for duty in changed.open if is_workable(duty, self._venue))
        self._wake()

    async def run(self, stop: asyncio.Event) -> None:
        swept_at = self._clock.monotonic()
        while not stop.is_set():
            due = self._look.is_set() or self._window.hungry or self._clock.monotonic() - swept_at >= SWEEP_S
            self._look.clear()
            pause_s = REFILL_POLL_S
            if due and self._shards:
                swept_at = self._clock.monotonic()
                try:
                    await self._refill()
                except StoreUnavailable as error:
                    log.warning("duties cannot be read", error=str(error))
                    pause_s = DATABASE_RETRY_S[1]
            await first_of(stop, self._look, timeout_s=pause_s)

    async def _refill(self) -> None:
        read = partial(self._duties.due, self._shards, self._clock.utc(), self._limit)
        duties = await asyncio.get_running_loop().run_in_executor(self._threads, read)
        fresh = [duty for duty in duties if self._window.get(duty.order_id) is None]
        self._window.make_room(len(fresh))
        self._window.put(duties)
        if fresh:
            self._wake()
