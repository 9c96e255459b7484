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
from exchange_adapter.work.duties import Changed, DueDuties, Known, is_workable
from exchange_adapter.work.window import DutyWindow, is_unsent
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
        self._known: Known | None = None  # while the table held no more than what was read

    def own(self, shards: Collection[int]) -> None:
        """From now on, duties of these shards; they are read from the table at once."""
        self._shards = frozenset(shards)
        self._window.own(self._shards)
        self._look.set()

    def changed(self, changed: Changed) -> None:
        """What the follower of this process has just committed."""
        self._window.remove(changed.settled)
        workable = [duty for duty in changed.open if is_workable(duty, self._venue)]
        self._window.make_room(filter(is_unsent, workable))
        self._window.put(workable)
        self._wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads the table again and again: whole when shards have changed, each SWEEP_S, and while it holds more than
        fits and few duties are left; else what is new."""
        swept_at = self._clock.monotonic()
        while not stop.is_set():
            now = self._clock.monotonic()
            if self._look.is_set() or now - swept_at >= SWEEP_S:
                self._known = None
            whole = self._known is None
            due = self._look.is_set() or self._window.hungry or not whole or now - swept_at >= SWEEP_S
            self._look.clear()
            pause_s = REFILL_POLL_S
            if due and self._shards:
                swept_at = now if whole else swept_at
                try:
                    await self._refill()
                except StoreUnavailable as error:
                    log.warning("duties cannot be read", error=str(error))
                    pause_s = DATABASE_RETRY_S[1]
            await first_of(stop, self._look, timeout_s=pause_s)

    async def _refill(self) -> None:
        now, known = self._clock.utc(), self._known
        read = partial(self._duties.due, self._shards, now, self._limit, known=known)
        duties = await asyncio.get_running_loop().run_in_executor(self._threads, read)
        fresh = [duty for duty in duties if self._window.get(duty.order_id) is None]
        self._window.make_room(fresh)
        self._window.put(duties)
        all_in = len(duties) < self._limit and all(self._window.get(duty.order_id) is not None for duty in fresh)
        position = max((duty.position for duty in duties), default=0)
        self._known = Known(max(position, known.position if known else 0), now) if all_in else None
        if fresh:
            self._wake()
