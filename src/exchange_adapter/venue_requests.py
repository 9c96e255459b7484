"""Cancels, replaces and questions: calls about an order that the venue has, or may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import structlog
from msgspec.structs import replace

from exchange_adapter import outcomes, reconciler
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
        request = CancelRequest(order_id=order.id, request_id=request_id, base=order.terms_id)
        outcome = await self._calls.call(turn, partial(self._venue.cancel, request))
        self._calls.keep_late(order, outcome, lambda late: outcomes.of_cancel(order, request_id, late, stamp))
        if isinstance(outcome, _NO_ANSWER):
            self._calls.failed(entry, cancel_lost=_lost(outcome, request_id) or entry.seen.cancel_lost)
            return order
        if isinstance(outcome, Refused | UnknownOrder):
            if self._may_be_echo(entry, request_id):
                self._calls.failed(entry, cancel_echoed=True)
                return order
            if order.lives_unwanted:
                entry.seen = replace(entry.seen, unwanted_answered=True)
                log.error("exchange keeps what ended as never placed", order_id=str(order.id), reason=outcome.reason)
        if isinstance(outcome, UnknownOrder) and order.delivery is Delivery.IN_DOUBT:
            return await self._not_there(order, entry, Evidence.VENUE_ANSWER)
        facts = await self._facts(order, turn) if isinstance(outcome, Refused) else []
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
        self._calls.keep_late(order, outcome, lambda late: outcomes.of_replace(change, late, stamp))
        if isinstance(outcome, _NO_ANSWER):
            if not isinstance(outcome, NotSent):
                self._replace_lost(entry, change.request_id)
            self._calls.failed(entry)
            return order
        facts = await self._facts(order, turn) if isinstance(outcome, Refused) else []
        return await self._record(order, entry, [*facts, *outcomes.of_replace(change, outcome, stamp)])

    async def query(self, order: Order, turn: Turn) -> Order:
        outcome = await self._calls.call(turn, partial(self._venue.query, order.id))
        match outcome:
            case Found():
                return await self._record(order, turn.entry, self._of_found(order, turn.entry, outcome))
            case NotFound() if order.delivery is Delivery.IN_DOUBT:
                return await self._not_there(order, turn.entry, Evidence.VENUE_QUERY)
            case NotFound():
                log.error("exchange does not know an order that it has accepted", order_id=str(order.id))
        self._calls.failed(turn.entry)
        return order

    async def _claimed(self, entry: Entry, order: Order) -> Order:
        """To a venue that does not repeat its answers a replace goes out once, whoever works on it. The order is read
        after the claim: one that was answered meanwhile may have been claimed before, and its claim be forgotten."""
        change = order.pending_replace
        if change is None or self._repeats or entry.claimed_request == change.request_id:
            return order
        if await self._claim_request(change.request_id, order.id):
            entry.claimed_request = change.request_id
        else:
            self._replace_lost(entry, change.request_id)
        return await self._handler.current(order.id)

    def _replace_lost(self, entry: Entry, request_id: UUID) -> None:
        if entry.seen.replace_lost != request_id:
            entry.seen = replace(entry.seen, replace_lost=request_id)
            entry.lost_at = self._calls.clock.monotonic()

    def _may_be_echo(self, entry: Entry, request_id: UUID) -> bool:
        """Whether the refusal may only mean that the request whose answer was lost went through."""
        return entry.seen.cancel_lost == request_id and not self._repeats

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

    async def _not_there(self, order: Order, entry: Entry, evidence: Evidence) -> Order:
        since = entry.doubt_since[1] if entry.doubt_since is not None else self._calls.clock.monotonic()
        commands = reconciler.not_there(
            order,
            self._venue.capabilities,
            self._calls.limits,
            waited_s=self._calls.clock.monotonic() - since,
            evidence=evidence,
            stamp=self._recorder.stamp(order.id),
        )
        return await self._record(order, entry, commands)

    def _of_found(self, order: Order, entry: Entry, answer: Found) -> list[c.Command]:
        """What the answer proves, also of requests whose own answers were lost."""
        stamp = self._recorder.stamp(order.id)
        commands = reconciler.found(order, answer, stamp)
        if order.delivery is not Delivery.ACKED or answer.state is not VenueState.WORKING:
            return commands
        change = order.pending_replace
        if change is not None and not reconciler.went_through(change, answer) and self._surely_lost(entry):
            commands.append(reconciler.replace_never_came(change.request_id, stamp))
        if order.pending_cancel is not None and entry.seen.cancel_echoed:
            commands.append(reconciler.cancel_was_refused(order.pending_cancel, stamp))
        return commands

    def _surely_lost(self, entry: Entry) -> bool:
        bound_s = not_found_counts_after_s(self._venue.capabilities, self._calls.limits)
        if bound_s is None or entry.lost_at is None:
            return False
        return self._calls.clock.monotonic() - entry.lost_at >= bound_s

    async def _record(self, order: Order, entry: Entry, commands: list[c.Command]) -> Order:
        """What changed nothing counts as a failed try, so that it is not repeated at once."""
        if not commands:
            self._calls.failed(entry)
            return order
        done = await self._recorder.record(order.id, commands)
        if done.events:
            self._calls.succeeded(entry)
        else:
            self._calls.failed(entry)
        return done.order


def _lost(outcome: object, request_id: UUID) -> UUID | None:
    """What was surely not sent has no answer that could be lost."""
    return None if isinstance(outcome, NotSent | TooLate) else request_id
