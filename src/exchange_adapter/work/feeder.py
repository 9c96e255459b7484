"""Fills the window: with what the log's follower has just told, and from the table when few duties are left.

Where messages tell of the first attempts, the table is the net under them: those come from it whose message is
overdue. When the broker is away, they come from it as fast as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from functools import partial

import structlog

from exchange_adapter.bounds import DATABASE_RETRY_S, MESSAGES_STILL_S, REFILL_POLL_S, SWEEP_S, WINDOW_DUTIES
from exchange_adapter.clock import Clock
from exchange_adapter.waiting import first_of
from exchange_adapter.work.duties import Changed, DueDuties, Known, is_workable
from exchange_adapter.work.duty import Duty
from exchange_adapter.work.window import DutyWindow, is_unsent
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.port import StoreUnavailable
from orders.shards import shard_of

log = structlog.get_logger(__name__)


class Feeder:
    """For the loop's own thread. `wake` is called when the window has got something, `know` with each order of our
    shards that was just placed. Reads run in `threads`."""

    def __init__(
        self,
        *,
        duties: DueDuties,
        window: DutyWindow,
        venue: Capabilities,
        wake: Callable[[], None],
        clock: Clock,
        threads: Executor,
        know: Callable[[Order], None] = lambda order: None,
        limit: int = WINDOW_DUTIES,
    ) -> None:
        self._duties = duties
        self._window = window
        self._venue = venue
        self._wake = wake
        self._clock = clock
        self._threads = threads
        self._know = know
        self._limit = limit
        self._shards: frozenset[int] = frozenset()
        self._look = asyncio.Event()
        self._known: Known | None = None  # while the table held no more than what was read
        self._told: Mapping[int, int | None] = {}
        self._told_at: dict[int, float] = {}  # when that changed last
        self._swept_to = 0  # what was in the table when it was swept last

    def own(self, shards: Collection[int]) -> None:
        """From now on, duties of these shards; they are read from the table at once."""
        self._shards = frozenset(shards)
        self._window.own(self._shards)
        self._look.set()

    def listen(self, told: Mapping[int, int | None]) -> None:
        """Messages tell of the first attempts in these shards from now on, and in no others. Where some wait in hand,
        it is said up to which position they have told; what comes after that may be told of yet."""
        if (self._told.keys() & self._shards) - told.keys():
            self._look.set()  # nobody tells of them: what is there is read at once
        now = self._clock.monotonic()
        same = {shard for shard, to in told.items() if shard in self._told and self._told[shard] == to}
        self._told_at = {shard: self._told_at[shard] if shard in same else now for shard in told}
        self._told = told

    def changed(self, changed: Changed) -> None:
        """What the follower of this process has just committed."""
        self._window.remove(changed.settled)
        for order in changed.placed:
            if shard_of(order.id) in self._shards:
                self._know(order)
        workable = [
            duty for duty in changed.open if is_workable(duty, self._venue) and not self._comes_by_message(duty)
        ]
        self._window.make_room(filter(is_unsent, workable))
        self._window.put(workable)
        self._wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Reads the table again and again: whole when shards have changed, each SWEEP_S, and while it holds more than
        fits and few duties are left, unless messages tell of those; else what is new."""
        swept_at = self._clock.monotonic()
        while not stop.is_set():
            now = self._clock.monotonic()
            sweep = now - swept_at >= SWEEP_S
            if self._look.is_set() or sweep:
                self._known = None
            whole = self._known is None
            told_of = bool(self._shards) and self._shards <= self._told.keys()
            due = self._look.is_set() or sweep or not whole or (self._window.hungry and not told_of)
            self._look.clear()
            pause_s = REFILL_POLL_S
            if due and self._shards:
                swept_at = now if whole else swept_at
                try:
                    await self._refill(sweep=sweep)
                except StoreUnavailable as error:
                    log.warning("duties cannot be read", error=str(error))
                    pause_s = DATABASE_RETRY_S[1]
            await first_of(stop, self._look, timeout_s=pause_s)

    async def _refill(self, *, sweep: bool) -> None:
        now, known = self._clock.utc(), self._known
        read = partial(self._duties.due, self._shards, now, self._limit, known=known)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, read)
        duties = [duty for duty in found if not self._comes_by_message(duty) or self._is_overdue(duty)]
        fresh = [duty for duty in duties if self._window.get(duty.order_id) is None]
        self._window.make_room(fresh)
        self._window.put(duties)
        all_in = len(found) < self._limit and all(self._window.get(duty.order_id) is not None for duty in fresh)
        position = max((duty.position for duty in found), default=0)
        self._known = Known(max(position, known.position if known else 0), now) if all_in else None
        if sweep:
            self._swept_to = position
        if fresh:
            self._wake()

    def _comes_by_message(self, duty: Duty) -> bool:
        first = duty.delivery is Delivery.QUEUED and duty.attempts == 0
        return first and duty.shard in self._told and self._window.get(duty.order_id) is None

    def _is_overdue(self, duty: Duty) -> bool:
        """It was there when the table was swept last, and messages have told of what came after it, or none are left:
        the one that should have named it is lost, or nobody has sent it. Or those in hand have told of nothing for
        long: it waits in the queue behind them."""
        told_to = self._told.get(duty.shard)
        passed = told_to is None or duty.position <= told_to
        still = self._clock.monotonic() - self._told_at[duty.shard] >= MESSAGES_STILL_S
        return duty.position <= self._swept_to and (passed or still)
