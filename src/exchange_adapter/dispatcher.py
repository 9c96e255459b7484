"""Takes due work, oldest first, one turn at a time for an order, and lets the policy say what each turn does.

A turn begins only when a seat in the call pool is free and the venue may be called. It loads the order, takes one step,
and puts the order back for when the policy wants it next. What the window says may be old; the order as the log has it
decides.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from msgspec.structs import replace

from exchange_adapter.bounds import (
    BREAKER_PROBE_S,
    CLOSE_WAIT_S,
    DATABASE_RETRY_S,
    RETRY_CAP_S,
    SHORTEST_WAIT_S,
    STOP_WAIT_S,
)
from exchange_adapter.breaker import Breaker
from exchange_adapter.call_pool import Calls
from exchange_adapter.clock import Clock
from exchange_adapter.errors import PoolExhausted
from exchange_adapter.policy import (
    Cancel,
    Doubt,
    Expire,
    Hold,
    Limits,
    NeverSent,
    Park,
    Query,
    Replace,
    Settled,
    Step,
    Submit,
    Wait,
    backoff_s,
    can_go_on,
    next_step,
    waits_for_word,
)
from exchange_adapter.rate import CallRate
from exchange_adapter.recorder import Recorder
from exchange_adapter.venue_calls import Submits, Turn, seen_now
from exchange_adapter.venue_requests import Requests
from exchange_adapter.waiting import first_of
from exchange_adapter.work.window import DutyWindow, Entry
from orders.domain import commands as c
from orders.domain.errors import Refusal
from orders.domain.order import Order
from orders.domain.values import Capabilities
from orders.eventstore.port import AWAY, EventStoreError, TooLarge
from orders.handlers import CommandHandler

log = structlog.get_logger(__name__)


class Dispatcher:
    def __init__(
        self,
        *,
        handler: CommandHandler,
        venue: Capabilities,
        window: DutyWindow,
        calls: Calls,
        submits: Submits,
        requests: Requests,
        recorder: Recorder,
        limits: Limits,
        clock: Clock,
        breaker: Breaker,
        rate: CallRate,
        drain_s: float = STOP_WAIT_S,
    ) -> None:
        self._handler = handler
        self._venue = venue
        self._window = window
        self._calls = calls
        self._submits = submits
        self._requests = requests
        self._recorder = recorder
        self._limits = limits
        self._clock = clock
        self._breaker = breaker
        self._rate = rate
        self._drain_s = drain_s
        self._turns: set[asyncio.Task[None]] = set()
        self.turns_ended = 0
        self._woken = asyncio.Event()
        calls.on_free = self.wake
        self._database_away = False

    @property
    def running(self) -> int:
        """Turns under way."""
        return len(self._turns)

    def wake(self) -> None:
        """There may be new work. For the loop's own thread."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then no call begins any more, running ones may end within `drain_s`, and what still runs is
        left to be in doubt.

        Raises: PoolExhausted where too many calls hang, after the others have ended.
        """
        lost = 0
        try:
            while not stop.is_set() and not self._calls.exhausted:
                self._woken.clear()
                blocked = self._take_due()
                await first_of(stop, self._woken, timeout_s=self._idle_s(blocked=blocked))
            lost = 0 if stop.is_set() else self._calls.lost  # some may return while the others end
        finally:
            self._calls.close()
            await self._drain()
        if lost:
            raise PoolExhausted(f"{lost} of {self._calls.limit} calls hang")

    def _take_due(self) -> bool:
        """Begins turns for what is due; whether the breaker or the rate keeps some from it."""
        while (seat := self._calls.take_seat()) is not None:
            now = self._clock.monotonic()
            allowed = self._breaker.allows(now) and self._rate.ready_at() <= now
            probe = allowed and self._breaker.is_open
            entry = self._window.take(now, urgent_only=not allowed, least_tried=probe)
            if entry is None:
                seat.release()
                return not allowed
            probing = allowed and self._breaker.enter(now)
            turn = Turn(entry, seat, has_token=allowed)
            if allowed:
                self._rate.take()
            task = asyncio.ensure_future(self._turn(turn, may_call=allowed))
            self._turns.add(task)
            task.add_done_callback(partial(self._ended, turn, entered=allowed, probing=probing))
        return False

    def _idle_s(self, *, blocked: bool) -> float | None:
        """Until the next entry is due, or the call that what is due waits for. A full pool waits for a turn to end."""
        if self._calls.busy >= self._calls.limit:
            return None
        times = [self._window.next_due_at(), self._may_call_at() if blocked else None]
        coming = [at for at in times if at is not None]
        return max(SHORTEST_WAIT_S, min(coming) - self._clock.monotonic()) if coming else None

    def _may_call_at(self) -> float | None:
        """When the breaker's next probe, and the rate, let a call through; None: once a call under way has ended."""
        if not self._breaker.is_open:
            return self._rate.ready_at() if self._breaker.has_room(self._clock.monotonic()) else None
        probe_at = self._breaker.retry_at
        return None if probe_at is None else max(probe_at, self._rate.ready_at())

    async def _drain(self) -> None:
        if self._turns:
            await asyncio.wait(self._turns, timeout=self._drain_s)
        left = list(self._turns)
        for task in left:
            task.cancel()
        if left:
            log.warning("calls left in doubt", calls=len(left))
            await asyncio.wait(left, timeout=CLOSE_WAIT_S)

    def _ended(self, turn: Turn, task: asyncio.Task[None], *, entered: bool, probing: bool) -> None:
        self._turns.discard(task)
        self.turns_ended += 1
        turn.seat.release()
        if turn.has_token:
            self._rate.give_back()
        now = self._clock.monotonic()
        if entered:
            self._breaker.leave(probe=probing, answered=turn.answered, now=now)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a turn failed", order_id=str(turn.entry.duty.order_id), exc_info=error)
            turn.entry.failed()
            self._window.put_back(turn.entry, now + RETRY_CAP_S)
        self._woken.set()

    async def _turn(self, turn: Turn, *, may_call: bool) -> None:
        entry = turn.entry
        try:
            order = await self._order(entry)
            step = self._next(entry, order)
            if isinstance(step, Submit | Query | Cancel | Replace) and not (may_call and self._calls.open):
                self._put_back(entry, order, self._clock.monotonic() + BREAKER_PROBE_S[0])
                return
            if not isinstance(step, Submit):  # that is, once its claim stands
                entry.looked_at(order.version)
            order = await self._take(step, order, turn)
        except Refusal as refused:
            log.info("order has moved on", order_id=str(entry.duty.order_id), reason=str(refused))
            self._put_back_refused(entry)
        except AWAY as error:
            if not self._database_away:  # one line an outage, not one an order
                log.warning("work waits for the database", order_id=str(entry.duty.order_id), error=str(error))
            self._database_away = True
            self._window.put_back(entry, self._clock.monotonic() + DATABASE_RETRY_S[1])
        except EventStoreError as error:
            what = "more than one commit may carry" if isinstance(error, TooLarge) else "an order cannot be read"
            log.error(what, order_id=str(entry.duty.order_id), error=str(error))
            self._put_back_refused(entry)
        else:
            self._database_away = False
            self._schedule(entry, order)

    def _put_back_refused(self, entry: Entry) -> None:
        """What is refused again and again comes ever less often."""
        tries = entry.seen.tries + 1
        entry.seen = replace(entry.seen, tries=tries)
        entry.failed()
        self._window.put_back(entry, self._clock.monotonic() + backoff_s(tries, 0.0))

    async def _order(self, entry: Entry) -> Order:
        """The order, at least as new as the duty."""
        order = await self._handler.load(entry.duty.order_id)
        if order.version < entry.duty.version or entry.unsure_claim:
            order = await self._handler.current(order.id)
        if entry.doubt_since is None or entry.doubt_since[0] != order.attempts:
            entry.doubt_since = (order.attempts, self._clock.monotonic())
        return order

    def _next(self, entry: Entry, order: Order) -> Step:
        seen = seen_now(entry, order, self._submits.worker)
        return next_step(self._venue, order, seen, self._clock.now(), self._limits)

    async def _take(self, step: Step, order: Order, turn: Turn) -> Order:
        stamp = self._recorder.stamp(order.id)
        match step:
            case Submit():
                return await self._submits.submit(order, turn)
            case Query():
                return await self._requests.query(order, turn)
            case Cancel(request_id):
                return await self._requests.cancel(order, turn, request_id)
            case Replace():
                return await self._requests.replace(order, turn)
            case NeverSent():
                return await self._submits.never_sent(order, turn.entry)
            case Doubt(reason):
                return await self._record(c.RecordSubmitInDoubt(**stamp(), attempt=order.attempts, reason=reason))
            case Park(reason):
                return await self._record(c.ParkPlacement(**stamp(), reason=reason))
            case Expire():
                return await self._record(c.ExpireUnsent(**stamp()))
            case Hold() | Wait() | Settled():
                return order

    async def _record(self, command: c.Command) -> Order:
        return (await self._recorder.record(command.order_id, [command])).order

    def _schedule(self, entry: Entry, order: Order) -> None:
        entry.looked_at(order.version)
        step = self._next(entry, order)
        if not isinstance(step, Settled):
            self._note_wait(entry, order)
        match step:
            case Settled():
                self._window.finish(entry, order.version)
            case Wait(until):
                self._put_back(entry, order, until)
            case Hold(reason):
                self._hold(entry, order, reason)
            case _:
                self._put_back(entry, order, self._clock.monotonic())

    def _note_wait(self, entry: Entry, order: Order) -> None:
        """Judged where it was looked at: an outage, in which nobody looks, proves nothing."""
        seen, now = seen_now(entry, order, self._submits.worker), self._clock.now()
        waits = waits_for_word(self._venue, order, seen, now, self._limits)
        if waits is None:
            entry.waits_since = entry.for_person = None
            return
        if entry.waits_since is None:
            entry.waits_since = now.monotonic
        lasted = now.monotonic - entry.waits_since >= waits.patience_s
        entry.for_person = waits.reason if lasted else None

    def _hold(self, entry: Entry, order: Order, reason: str) -> None:
        """What only a person can help leaves the window, not the table; what a report may help is looked at again."""
        if entry.held != reason:
            log.warning("order held", order_id=str(order.id), reason=reason)
            entry.held = reason
        goes_on = can_go_on(
            self._venue,
            order.delivery,
            cancel=order.pending_cancel is not None,
            change=order.pending_replace is not None,
            unwanted=order.lives_unwanted,
        )
        if goes_on:
            self._put_back(entry, order, self._clock.monotonic() + RETRY_CAP_S)
        else:
            self._window.finish(entry, order.version)

    def _put_back(self, entry: Entry, order: Order, due_at: float) -> None:
        if order.version >= entry.duty.version:
            entry.duty = replace(entry.duty, delivery=order.delivery, version=order.version)
        self._window.put_back(entry, due_at, order.version)
