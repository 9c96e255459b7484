"""A venue that keeps its orders in memory, and whose calls meet the fates that networks have in store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
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
    ReportKind,
    Unknown,
    UnknownOrder,
    VenueExecution,
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
    executions: tuple[VenueExecution, ...] = ()

    @property
    def filled(self) -> int:
        return sum(execution.quantity for execution in self.executions)


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
        self.coming: Counter[UUID | None] = Counter()
        """Submits of an order that were cut off and arrive late; all other calls under None."""
        self.report: Callable[..., object] = lambda kind, order_id, **fields: None
        """Is told what happens, as an execution report tells it."""
        self._answers: dict[UUID, Outcome] = {}
        self._random = Random(seed)
        self._timeout_s = call_timeout_s
        self._trades = 0

    def submit(self, order: VenueOrder) -> Any:
        def arrive() -> Outcome:
            self.arrivals[order.order_id] += 1
            if order.order_id not in self.orders or not self.capabilities.deduplicates:
                self.orders[order.order_id] = Resting(order.quantity, order.limit_price, order.order_id)
                self.report(ReportKind.ACCEPTED, order.order_id, venue_order_id="V")
            return Placed("V")

        return self._meet(arrive, order.order_id)

    def cancel(self, request: CancelRequest) -> Any:
        def arrive() -> Outcome:
            def carry_out(resting: Resting) -> Outcome:
                resting.state = VenueState.CANCELED
                self.report(ReportKind.CANCELED, request.order_id, request_id=str(request.request_id))
                return Done()

            return self._once(request.request_id, request.order_id, request.base, carry_out)

        return self._meet(arrive)

    def replace(self, request: ReplaceRequest) -> Any:
        def carry_out(resting: Resting) -> Outcome:
            if request.quantity < resting.filled:
                return Refused("more is filled")
            if request.quantity == resting.filled:
                resting.state = VenueState.EXECUTED
            resting.quantity, resting.limit_price = request.quantity, request.limit_price
            resting.terms_id = request.request_id
            self.applied[request.request_id] += 1
            terms = {"quantity": request.quantity, "limit_price": request.limit_price}
            self.report(ReportKind.REPLACED, request.order_id, request_id=str(request.request_id), **terms)
            return Done(request.quantity, request.limit_price)

        outcome = self._meet(lambda: self._once(request.request_id, request.order_id, request.base, carry_out))
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
                filled=resting.filled,
                executions=resting.executions,
            )

        return self._meet(arrive)

    def trade(self, order_id: UUID, quantity: int) -> None:
        """A fill of so much, or of what is left; nothing where the order does not work there."""
        resting = self.orders.get(order_id)
        if resting is None or resting.state is not VenueState.WORKING:
            return
        self._trades += 1
        quantity = min(quantity, resting.quantity - resting.filled)
        fill = VenueExecution(exec_id=f"T{self._trades}", quantity=quantity, price=Decimal("1.1"))
        resting.executions += (fill,)
        leaves = resting.quantity - resting.filled
        if leaves == 0:
            resting.state = VenueState.EXECUTED
        told = {"exec_id": fill.exec_id, "quantity": quantity, "price": fill.price, "leaves": leaves}
        self.report(ReportKind.FILLED, order_id, **told)

    def _once(self, request_id: UUID, order_id: UUID, base: UUID, carry_out: Callable[[Resting], Outcome]) -> Outcome:
        if self.capabilities.repeats_answers and request_id in self._answers:
            return self._answers[request_id]
        resting = self.orders.get(order_id)
        if resting is None:
            return UnknownOrder()
        if resting.state is not VenueState.WORKING:
            outcome: Outcome = Refused(f"already {resting.state.value}")
        elif self.capabilities.repeats_answers and base != resting.terms_id:
            outcome = Refused("stale base")
        else:
            outcome = carry_out(resting)
        self._answers[request_id] = outcome
        return outcome

    def _meet(self, arrive: Callable[[], Outcome], submitted: UUID | None = None) -> Any:
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
                asyncio.get_running_loop().call_later(LATENCY_S + delay_s, self._arrive_late, arrive, submitted)
                self.coming[submitted] += 1
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

    def _arrive_late(self, arrive: Callable[[], Outcome], submitted: UUID | None) -> None:
        self.coming[submitted] -= 1
        arrive()
