"""Cancels, replaces and questions: calls about an order that the venue has, or may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import structlog
from msgspec.structs import replace

from exchange_adapter import outcomes, reconciler
from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import MAX_UNIT_REPORTS
from exchange_adapter.call_pool import Raised, TimedOut, TooLate
from exchange_adapter.policy import not_found_counts_after_s
from exchange_adapter.recorder import Recorder
from exchange_adapter.venue import (
    CancelRequest,
    Found,
    NotFound,
    NotSent,
    Refused,
    ReplaceRequest,
    RequestOutcome,
    Unknown,
    UnknownOrder,
    VenueState,
)
from exchange_adapter.venue_calls import Turn, VenueCalls
from exchange_adapter.work.window import Entry
from orders.domain import commands as c
from orders.domain.order import Order
from orders.domain.values import Delivery, Evidence
from orders.handlers import CommandHandler

log = structlog.get_logger(__name__)

ClaimRequest = Callable[[UUID, UUID], Awaitable[bool]]
_NO_ANSWER = (Unknown, NotSent, Raised, TooLate, TimedOut)


class Requests:
    """`claim_request(request_id, order_id)` says whether a request was never sent before, by anyone. It is asked where
    the venue does not repeat its answers."""

    def __init__(
        self, calls: VenueCalls, handler: CommandHandler, recorder: Recorder, claim_request: ClaimRequest
    ) -> None:
        self._calls = calls
        self._venue = calls.venue
        self._handler = handler
        self._recorder = recorder
        self._claim_request = claim_request

    async def cancel(self, order: Order, turn: Turn, request_id: UUID) -> Order:
        entry, stamp = turn.entry, self._recorder.stamp(order.id)
        await self._note_first_try(entry, request_id, order.id)
        request = CancelRequest(order_id=order.id, request_id=request_id, base=order.terms_id)
        asked_at = self._calls.clock.monotonic()
        outcome = await self._calls.call(turn, partial(self._venue.cancel, request))
        self._calls.keep_late(request_id, order, outcome, lambda late: self._of_late_cancel(order, request_id, late))
        if isinstance(outcome, _NO_ANSWER):
            if not isinstance(outcome, NotSent):
                self._cancel_lost(entry, request_id)
            self._calls.failed(entry)
            return order
        if isinstance(outcome, Refused | UnknownOrder):
            return await self._cancel_refused(order, turn, request_id, outcome, asked_at)
        return await self._record(order, entry, outcomes.of_cancel(order, request_id, outcome, stamp))

    def _of_late_cancel(self, order: Order, request_id: UUID, late: RequestOutcome) -> list[c.Command]:
        """A late refusal may mean that a repeat went through meanwhile; only repeated answers are believed."""
        if isinstance(late, Refused | UnknownOrder) and not self._repeats:
            return []
        return outcomes.of_cancel(order, request_id, late, self._recorder.stamp(order.id))

    async def _cancel_refused(
        self, order: Order, turn: Turn, request_id: UUID, outcome: Refused | UnknownOrder, asked_at: float
    ) -> Order:
        entry, stamp = turn.entry, self._recorder.stamp(order.id)
        if order.lives_unwanted:
            entry.seen = replace(entry.seen, unwanted_answered=True)
            log.error("exchange keeps what ended as never placed", order_id=str(order.id), reason=outcome.reason)
        if isinstance(outcome, UnknownOrder) and order.delivery is Delivery.IN_DOUBT:
            if self._was_lost(entry, request_id):
                self._calls.failed(entry)  # the lost one may have gone through, and the order be forgotten
                return order
            return await self._not_there(order, entry, Evidence.VENUE_ANSWER, asked_at)
        if self._must_ask(entry, request_id):
            entry.seen = replace(entry.seen, cancel_refused=request_id)
            entry.cancel_refusal = outcome.reason
            return order
        facts = await self._facts(order, turn)
        return await self._record(order, entry, [*facts, *outcomes.of_cancel(order, request_id, outcome, stamp)])

    async def replace(self, order: Order, turn: Turn) -> Order:
        entry, stamp, change = turn.entry, self._recorder.stamp(order.id), order.pending_replace
        assert change is not None
        order = await self._claimed(entry, order)
        if order.pending_replace != change or (entry.seen.replace_lost == change.request_id and not self._repeats):
            return order
        request = ReplaceRequest(
            order_id=order.id,
            request_id=change.request_id,
            base=order.terms_id,
            quantity=change.quantity,
            limit_price=change.limit_price,
        )
        outcome = await self._calls.call(turn, partial(self._venue.replace, request))
        self._calls.keep_late(change.request_id, order, outcome, lambda late: outcomes.of_replace(change, late, stamp))
        if isinstance(outcome, _NO_ANSWER):
            if not isinstance(outcome, NotSent):
                self._replace_lost(entry, change.request_id)
            self._calls.failed(entry)
            return order
        facts = await self._facts(order, turn) if isinstance(outcome, Refused) else []
        return await self._record(order, entry, [*facts, *outcomes.of_replace(change, outcome, stamp)])

    async def query(self, order: Order, turn: Turn) -> Order:
        asked_at = self._calls.clock.monotonic()
        outcome = await self._calls.call(turn, partial(self._venue.query, order.id))
        match outcome:
            case Found():
                return await self._record(order, turn.entry, self._of_found(order, turn.entry, outcome, asked_at))
            case NotFound() if order.delivery is Delivery.IN_DOUBT:
                return await self._not_there(order, turn.entry, Evidence.VENUE_QUERY, asked_at)
            case NotFound():
                self._calls.note(AlertKind.UNKNOWN_AT_VENUE, order.id, "the exchange had accepted it")
        self._calls.failed(turn.entry)
        return order

    async def _claimed(self, entry: Entry, order: Order) -> Order:
        """To a venue that does not repeat its answers a replace goes out once, whoever works on it. The order is read
        after the claim: one that was answered meanwhile may have been claimed before, and its claim be forgotten."""
        change = order.pending_replace
        if change is None or self._repeats or entry.claimed_replace == change.request_id:
            return order
        if await self._claim_request(change.request_id, order.id):
            entry.claimed_replace = change.request_id
        else:
            self._replace_lost(entry, change.request_id)
        return await self._handler.current(order.id)

    def _replace_lost(self, entry: Entry, request_id: UUID) -> None:
        if entry.seen.replace_lost != request_id:
            entry.seen = replace(entry.seen, replace_lost=request_id)
            entry.replace_lost_at = self._calls.clock.monotonic()

    async def _note_first_try(self, entry: Entry, request_id: UUID, order_id: UUID) -> None:
        """Where another process may have tried before, its answer counts as lost."""
        if self._repeats or entry.claimed_cancel == request_id:
            return
        if await self._claim_request(request_id, order_id):
            entry.claimed_cancel = request_id
        elif entry.cancel_lost != request_id:
            self._cancel_lost(entry, request_id)

    def _cancel_lost(self, entry: Entry, request_id: UUID) -> None:
        entry.cancel_lost, entry.cancel_lost_at = request_id, self._calls.clock.monotonic()

    def _was_lost(self, entry: Entry, request_id: UUID) -> bool:
        return entry.cancel_lost == request_id and not self._repeats

    def _must_ask(self, entry: Entry, request_id: UUID) -> bool:
        """Whether a refusal may only mean that an earlier try went through, ours or another process'. Where the venue
        can be asked it always is: it costs one call more."""
        return not self._repeats and (self._venue.capabilities.queries or entry.cancel_lost == request_id)

    @property
    def _repeats(self) -> bool:
        return self._venue.capabilities.repeats_answers

    async def _facts(self, order: Order, turn: Turn) -> list[c.Command]:
        """After a refusal: what the venue says of the order, so that an end is recorded before the refusal it explains.
        Reports will say the same, so no answer is no harm."""
        if not self._venue.capabilities.queries:
            return []
        outcome = await self._calls.call(turn, partial(self._venue.query, order.id))
        turn.answered = True  # by the refusal
        return reconciler.found(order, outcome, self._recorder.stamp(order.id)) if isinstance(outcome, Found) else []

    async def _not_there(self, order: Order, entry: Entry, evidence: Evidence, asked_at: float) -> Order:
        """The venue looked no sooner than it was asked; what it got since then it may have, whatever it says."""
        since = entry.doubt_since[1] if entry.doubt_since is not None else asked_at
        commands = reconciler.not_there(
            order,
            self._venue.capabilities,
            self._calls.limits,
            waited_s=asked_at - max(since, self._calls.overdue.ran_until(order.id)),
            evidence=evidence,
            stamp=self._recorder.stamp(order.id),
        )
        return await self._record(order, entry, commands)

    def _of_found(self, order: Order, entry: Entry, answer: Found, asked_at: float) -> list[c.Command]:
        """What the answer proves, also of requests whose own answers were lost."""
        stamp = self._recorder.stamp(order.id)
        commands = reconciler.found(order, answer, stamp)
        if order.delivery is not Delivery.ACKED or answer.state is not VenueState.WORKING:
            return commands
        change = order.pending_replace
        undone = change is not None and not reconciler.went_through(change, answer)
        if change is not None and undone and self._could_not_come(change.request_id, entry.replace_lost_at, asked_at):
            commands.append(reconciler.replace_never_came(change.request_id, stamp))
        cancel = order.pending_cancel
        if cancel is not None and entry.seen.cancel_refused == cancel and self._meant(entry, cancel, asked_at):
            commands.append(reconciler.cancel_was_refused(cancel, entry.cancel_refusal, stamp))
        return commands

    def _meant(self, entry: Entry, cancel: UUID, asked_at: float) -> bool:
        """Whether a refusal stands while the venue works on the order: no lost try can still arrive and undo it."""
        return not self._was_lost(entry, cancel) or self._could_not_come(cancel, entry.cancel_lost_at, asked_at)

    def _could_not_come(self, request_id: UUID, lost_at: float | None, asked_at: float) -> bool:
        """Whether a request that was lost then could not arrive any more when the venue was asked."""
        bound_s = not_found_counts_after_s(self._venue.capabilities, self._calls.limits)
        if bound_s is None or lost_at is None:
            return False
        return asked_at - max(lost_at, self._calls.overdue.ran_until(request_id)) >= bound_s

    async def _record(self, order: Order, entry: Entry, commands: list[c.Command]) -> Order:
        """What settled nothing counts as a failed try, so that it is not repeated at once. Very many executions go in
        parts: a commit may carry so much only."""
        before, news = order, False
        for start in range(0, len(commands), MAX_UNIT_REPORTS):
            done = await self._recorder.record(order.id, commands[start : start + MAX_UNIT_REPORTS])
            order, news = done.order, news or bool(done.events)
        if news or _settled_meanwhile(before, order):
            self._calls.succeeded(entry)
        else:
            self._calls.failed(entry)
        return order


def _settled_meanwhile(before: Order, now: Order) -> bool:
    """Whether something that waited for the venue's word waits no more: its report may be faster than its answer, which
    then tells nothing new."""
    return (
        (before.phase, before.delivery, before.lives_unwanted) != (now.phase, now.delivery, now.lives_unwanted)
        or before.pending_replace not in (None, now.pending_replace)
        or before.pending_cancel not in (None, now.pending_cancel)
    )
