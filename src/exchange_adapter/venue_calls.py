"""Makes one call to the venue for an order: in the pool, within its timeout; what comes later is evidence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from exchange_adapter import outcomes
from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import CALL_SECONDS
from exchange_adapter.call_pool import Raised, Seat, TimedOut, TooLate
from exchange_adapter.clock import Clock
from exchange_adapter.figures import Attempts
from exchange_adapter.overdue import OverdueCalls
from exchange_adapter.policy import Limits, Seen, not_found_counts_after_s
from exchange_adapter.process_alerts import Note, unheard
from exchange_adapter.rate import CallRate
from exchange_adapter.recorder import Recorder
from exchange_adapter.venue import NotSent, Outcome, Placed, SubmitOutcome, Venue, venue_order
from exchange_adapter.work.window import Entry
from orders.distribution import Distribution
from orders.domain import commands as c
from orders.domain.errors import Refusal
from orders.domain.events import SubmitStarted
from orders.domain.order import Order
from orders.domain.values import Delivery, Evidence, Phase
from orders.eventstore.port import EventStoreError
from orders.handlers import CommandHandler

log = structlog.get_logger(__name__)

R = TypeVar("R", bound=Outcome)


class Turn(Struct):
    """One order's turn, in a seat of the pool. `answered` says afterwards whether the venue said anything; None: it was
    not called. `has_token`: a call of it is accounted for, and not yet made."""

    entry: Entry
    seat: Seat
    answered: bool | None = None
    has_token: bool = False


class VenueCalls:
    """Every call to the venue goes through `call`. `note` hears of it where the venue contradicts itself."""

    def __init__(
        self,
        venue: Venue,
        recorder: Recorder,
        limits: Limits,
        clock: Clock,
        random: Random,
        rate: CallRate,
        note: Note = unheard,
    ) -> None:
        self.venue = venue
        self.limits = limits
        self.clock = clock
        self.note = note
        self.seconds = Distribution(CALL_SECONDS)
        """What calls took, those that were not made left out."""
        self._rate = rate
        self._recorder = recorder
        self._random = random
        self._late: set[asyncio.Task[None]] = set()
        self._last_placed_at: float | None = None
        bound_s = not_found_counts_after_s(venue.capabilities, limits) or 0.0
        self.overdue = OverdueCalls(clock.monotonic, 2 * bound_s)  # the question may have been asked some time ago
        """Of submits, by the order; of cancels and replaces, by the request."""

    async def call(
        self, turn: Turn, function: Callable[[], R], *, claimed_at: float | None = None
    ) -> R | Raised | TooLate | TimedOut[Any]:
        if not turn.has_token:
            self._rate.take()
        turn.has_token = False
        await self._rate.wait_to_call()
        began = self.clock.monotonic()
        outcome = await turn.seat.call(function, self.limits.call_timeout_s, claimed_at=claimed_at)
        if not isinstance(outcome, TooLate):
            self.seconds.observe(self.clock.monotonic() - began)
        turn.answered = outcomes.answered(outcome)
        return outcome

    def keep_late(
        self, carried: UUID, order: Order, outcome: object, commands_of: Callable[[Any], Sequence[c.Command]]
    ) -> None:
        """Where the call still runs: what it returns after all is recorded as evidence."""
        if not isinstance(outcome, TimedOut):
            return
        self.overdue.began(carried)

        def returned(ended: asyncio.Future[Any]) -> None:
            self.overdue.ended(carried)
            if not ended.cancelled():
                task = asyncio.ensure_future(self._record_late(order, commands_of(ended.result())))
                self._late.add(task)
                task.add_done_callback(self._late.discard)

        outcome.ended.add_done_callback(returned)

    def succeeded(self, entry: Entry) -> None:
        """Forgets the failed tries; what is known of lost answers stays until it is settled."""
        entry.failing_since = None
        entry.seen = replace(entry.seen, tries=0, failed_alone=0)

    def placed(self) -> None:
        self._last_placed_at = self.clock.monotonic()

    def not_placed(self, entry: Entry, began: float) -> None:
        """A definite failure; it counts towards parking where another order was placed since they began."""
        if entry.failing_since is None:
            entry.failing_since = began
        elif self._last_placed_at is not None and self._last_placed_at > entry.failing_since:
            entry.seen = replace(entry.seen, failed_alone=entry.seen.failed_alone + 1)

    def failed(self, entry: Entry, **seen: Any) -> None:
        """The next try waits for its backoff."""
        tries = entry.seen.tries + 1
        tried_at = self.clock.monotonic()
        entry.seen = replace(entry.seen, tries=tries, tried_at=tried_at, jitter=self._random.random(), **seen)

    def note_failures(self, order: Order, commands: Sequence[c.Command]) -> None:
        """Where an attempt failed or was refused definitely, and the venue has the order all the same."""
        if order.delivery is not Delivery.ACKED or order.phase is Phase.REJECTED:
            return
        for command in commands:
            match command:
                case c.RecordSubmitFailed(evidence=Evidence.NEVER_SENT):
                    continue
                case c.RecordSubmitFailed(reason=reason) | c.RecordRejected(reason=reason):
                    self.note(AlertKind.LATE_FAILURE, order.id, f"the exchange has it; an attempt failed: {reason}")

    async def _record_late(self, order: Order, commands: Sequence[c.Command]) -> None:
        try:
            done = await self._recorder.record(order.id, commands)
        except (Refusal, EventStoreError) as error:
            log.warning("late outcome not recorded", order_id=str(order.id), error=str(error))
        else:
            told = [type(recorded.event).__name__ for recorded in done.events]
            log.info("call returned after its timeout", order_id=str(order.id), recorded=told)
            self.note_failures(done.order, commands)


class Submits:
    """`worker` is a fresh id of this process: no two processes ever share one."""

    def __init__(self, calls: VenueCalls, handler: CommandHandler, recorder: Recorder, worker: str) -> None:
        self.worker = worker
        self.attempts = Attempts()
        """What became of this process' attempts so far."""
        self._calls = calls
        self._handler = handler
        self._recorder = recorder

    async def submit(self, order: Order, turn: Turn) -> Order:
        """Claims the order by appending SubmitStarted, and calls only if this very event stands in the log.

        Raises: Refusal where there is nothing to submit any more, EventStoreError.
        """
        entry, began = turn.entry, self._calls.clock.monotonic()
        if order.delivery is Delivery.IN_DOUBT and not self._calls.venue.capabilities.deduplicates:
            log.warning("order in doubt sent again: it may be placed twice", order_id=str(order.id))
        claim = c.StartSubmit(**self._recorder.stamp(order.id)(), worker=self.worker)
        was_unsure, entry.unsure_claim = entry.unsure_claim, True  # an append without an answer may stand all the same
        try:
            done = await self._handler.execute(claim)
        except Refusal:
            entry.unsure_claim = was_unsure  # what refused this one may be the earlier one, come late
            raise
        entry.unsure_claim = False
        started = done.events[0].event if done.events else None
        if not isinstance(started, SubmitStarted) or started.event_id != claim.command_id:
            return done.order
        entry.looked_at(done.order.version)
        entry.doubt_since = (started.attempt, began)
        submit = partial(self._calls.venue.submit, venue_order(done.order))
        outcome = await self._calls.call(turn, submit, claimed_at=began)
        return await self._record(done.order, started.attempt, outcome, turn, began)

    async def never_sent(self, order: Order, entry: Entry) -> Order:
        """A claim of ours stands, and no call followed it."""
        never = outcomes.never_sent(order.attempts, self._recorder.stamp(order.id))
        done = await self._recorder.record(order.id, [never])
        entry.unsure_claim = False
        return done.order

    async def _record(
        self,
        order: Order,
        attempt: int,
        outcome: SubmitOutcome | Raised | TooLate | TimedOut[Any],
        turn: Turn,
        began: float,
    ) -> Order:
        stamp, timeout_s = self._recorder.stamp(order.id), self._calls.limits.call_timeout_s
        self.attempts = self.attempts.counting(outcome)
        self._calls.keep_late(
            order.id, order, outcome, lambda late: [outcomes.of_submit(attempt, late, timeout_s, stamp)]
        )
        commands = [outcomes.of_submit(attempt, outcome, timeout_s, stamp)]
        done = await self._recorder.record(order.id, commands)
        self._calls.note_failures(done.order, commands)
        if turn.answered and done.order.delivery is not Delivery.IN_DOUBT:
            self._calls.succeeded(turn.entry)
        else:
            self._calls.failed(turn.entry)
        if isinstance(outcome, Placed):
            self._calls.placed()
        elif isinstance(outcome, NotSent):
            self._calls.not_placed(turn.entry, began)
        return done.order


def seen_now(entry: Entry, order: Order, worker: str) -> Seen:
    """What the policy needs to know beside the order."""
    attempted_at = entry.doubt_since[1] if entry.doubt_since is not None else 0.0
    never_called = entry.unsure_claim and order.worker == worker
    return replace(entry.seen, never_called=never_called, attempted_at=attempted_at)
