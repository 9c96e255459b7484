"""A venue that keeps its orders in memory, and whose calls meet the fates that networks have in store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

from msgspec import Struct

from exchange_adapter.venue import (
    CancelRequest,
    Done,
    Found,
    NotFound,
    NotSent,
    Outcome,
    Placed,
    Refused,
    ReplaceRequest,
    Unknown,
    UnknownOrder,
    VenueOrder,
    VenueState,
)
from orders.domain.values import Capabilities
from tests.support.adapter_floor import Later

LATENCY_S = 0.05
FATES = ("fine", "not sent", "lost before", "lost after", "hangs undone", "hangs done", "slow", "arrives late")


class Resting(Struct):
    quantity: int
    limit_price: Any
    terms_id: UUID
    state: VenueState = VenueState.WORKING


class ModelVenue:
    """Has the methods of a venue; a share `trouble` of the calls meets a fate other than fine."""

    def __init__(self, capabilities: Capabilities, seed: int, call_timeout_s: float) -> None:
        self.capabilities = capabilities
        self.trouble = 0.4
        self.orders: dict[UUID, Resting] = {}
        self.arrivals: Counter[UUID] = Counter()
        self.applied: Counter[UUID] = Counter()
        """How often each replace was carried out."""
        self.sent: Counter[UUID] = Counter()
        """How often each replace may have reached the venue."""
        self._answers: dict[UUID, Outcome] = {}
        self._random = Random(seed)
        self._timeout_s = call_timeout_s

    def submit(self, order: VenueOrder) -> Any:
        def arrive() -> Outcome:
            self.arrivals[order.order_id] += 1
            if order.order_id not in self.orders or not self.capabilities.deduplicates:
                self.orders[order.order_id] = Resting(order.quantity, order.limit_price, order.order_id)
            return Placed("V")

        return self._meet(arrive)

    def cancel(self, request: CancelRequest) -> Any:
        def arrive() -> Outcome:
            return self._once(request.request_id, request.order_id, request.base, self._cancel)

        return self._meet(arrive)

    def replace(self, request: ReplaceRequest) -> Any:
        def carry_out(resting: Resting) -> Outcome:
            resting.quantity, resting.limit_price = request.quantity, request.limit_price
            resting.terms_id = request.request_id
            self.applied[request.request_id] += 1
            return Done(request.quantity, request.limit_price)

        outcome = self._meet(
            lambda: self._once(request.request_id, request.order_id, request.base, carry_out),
        )
        self.sent[request.request_id] += not isinstance(outcome, NotSent)
        return outcome

    def query(self, order_id: UUID) -> Any:
        def arrive() -> Outcome:
            resting = self.orders.get(order_id)
            if resting is None:
                return NotFound()
            return Found(
                state=resting.state,
                venue_order_id="V",
                quantity=resting.quantity,
                limit_price=resting.limit_price,
                terms_id=str(resting.terms_id),
            )

        return self._meet(arrive)

    def _cancel(self, resting: Resting) -> Outcome:
        resting.state = VenueState.CANCELED
        return Done()

    def _once(self, request_id: UUID, order_id: UUID, base: UUID, carry_out: Callable[[Resting], Outcome]) -> Outcome:
        if self.capabilities.repeats_answers and request_id in self._answers:
            return self._answers[request_id]
        resting = self.orders.get(order_id)
        if resting is None:
            return UnknownOrder()
        if resting.state is not VenueState.WORKING:
            outcome: Outcome = Refused("already canceled")
        elif self.capabilities.repeats_answers and base != resting.terms_id:
            outcome = Refused("stale base")
        else:
            outcome = carry_out(resting)
        self._answers[request_id] = outcome
        return outcome

    def _meet(self, arrive: Callable[[], Outcome]) -> Any:
        fate = self._random.choice(FATES) if self._random.random() < self.trouble else "fine"
        match fate:
            case "not sent":
                return NotSent("no connection")
            case "lost before":
                return Later(LATENCY_S, Unknown("cut"))
            case "hangs undone":
                return Later(None)
            case "arrives late":
                delay_s = self._random.uniform(0.0, self.capabilities.late_arrival_s or 100.0)
                asyncio.get_running_loop().call_later(LATENCY_S + delay_s, arrive)
                return Later(LATENCY_S, Unknown("cut"))
        outcome = arrive()
        match fate:
            case "lost after":
                return Later(LATENCY_S, Unknown("cut"))
            case "hangs done":
                return Later(None)
            case "slow":
                return Later(self._timeout_s * self._random.uniform(1.1, 3.0), outcome)
        return Later(LATENCY_S, outcome)
