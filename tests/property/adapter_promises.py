"""Promises 3, 4, 5 and 10 of the adapter, judged by the log and by what the venue really has, after any step."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from uuid import UUID

from exchange_adapter.policy import unwanted_cancel_id
from exchange_adapter.venue import VenueState
from orders.domain import events as e
from orders.domain.order import Order, evolve
from orders.domain.values import VENUES_WORD, Delivery, Phase
from tests.property.adapter_world import World
from tests.support.adapter_floor import Called
from tests.support.model_venue import Resting

NOT_THERE = (Delivery.QUEUED, Delivery.PARKED)
STATES = {VenueState.WORKING: Phase.OPEN, VenueState.EXECUTED: Phase.FILLED, VenueState.CANCELED: Phase.CANCELED}


class Watch:
    """Judges at every commit of an adapter and at every call. `broken` has what was found, as sentences."""

    def __init__(self, world: World) -> None:
        self.broken: list[str] = []
        self.orders: dict[UUID, Order] = {}
        self._world = world
        self._position = 0
        self._claims: Counter[UUID] = Counter()
        self._calls: Counter[UUID] = Counter()
        self._asked: defaultdict[UUID, list[UUID]] = defaultdict(list)
        self._sent: defaultdict[UUID, list[UUID]] = defaultdict(list)
        self._told: set[tuple[UUID, str]] = set()
        world.floor.venue.on_call = self._on_call
        world.appender.on_commit = self._judge

    def look(self) -> None:
        """AssertionError where a promise is broken, or was at any commit or call before."""
        self._judge()
        assert not self.broken, "\n".join(self.broken)

    def _judge(self) -> None:
        self._read_on()
        for order_id, order in self.orders.items():
            self.broken += [f"{order_id}: {fault}" for fault in self._faults(order)]
        self.broken += self._done_twice()

    def agrees(self) -> None:
        """Where everything can be settled, the log says what the venue has. AssertionError where it does not."""
        self.look()
        for order_id in self._world.orders:
            order, resting = self.orders[order_id], self._world.venue.orders.get(order_id)
            state = (order, resting)
            assert order.pending_cancel is None, state
            assert order.pending_replace is None, state
            if resting is None:
                assert (order.phase, order.delivery) == (Phase.CANCELED, Delivery.QUEUED), state
                continue
            assert (order.phase, order.filled) == (STATES[resting.state], resting.filled), state
            if order.unheard and not self._world.venue.capabilities.reports:
                continue  # canceled after the answer to a replace was lost: nobody asks for the terms of what has ended
            assert (order.quantity, order.limit_price) == (resting.quantity, resting.limit_price), state

    def _read_on(self) -> None:
        for recorded in self._world.floor.store.read_log(after=self._position, limit=1_000_000):
            self._position = recorded.position
            order_id, event = recorded.stream_id, recorded.event
            if not isinstance(event, e.OrderEvent):
                continue
            self.orders[order_id] = evolve(order_id, self.orders.get(order_id), event)
            self._note(order_id, event)

    def _note(self, order_id: UUID, event: e.OrderEvent) -> None:
        match event:
            case e.SubmitStarted():
                self._claims[order_id] += 1
                if event.attempt != self._claims[order_id]:
                    self.broken.append(f"{order_id}: attempt {event.attempt} is not the next one (promise 3)")
            case e.CancelRequested() | e.ReplaceRequested():
                self._asked[order_id].append(event.event_id)
            case e.OrderExecuted():
                if (order_id, event.exec_id) in self._told:
                    self.broken.append(f"{order_id}: fill {event.exec_id} is recorded twice (promise 5)")
                self._told.add((order_id, event.exec_id))
            case e.OrderReplaced() if event.evidence in VENUES_WORD:
                if event.request_id not in self._world.venue.applied:
                    self.broken.append(f"{order_id}: replaced, but not at the exchange (promise 4)")

    def _on_call(self, called: Called) -> None:
        self._read_on()
        order = self.orders[called.order_id]
        match called.method:
            case "submit":
                self._calls[order.id] += 1
                if self._calls[order.id] > self._claims[order.id]:
                    self.broken.append(f"{order.id}: called without a claim (promise 3)")
                if (called.asked.quantity, called.asked.limit_price) != (order.quantity, order.limit_price):
                    self.broken.append(f"{order.id}: sent on other terms than those in force (promise 10)")
            case "cancel" | "replace":
                self._on_request(order, called.method, called.asked.request_id)

    def _on_request(self, order: Order, method: str, request_id: UUID) -> None:
        if method == "replace" and order.delivery is not Delivery.ACKED:
            self.broken.append(f"{order.id}: replaced while it is {order.delivery} (promise 10)")
        if method == "cancel" and order.delivery is Delivery.IN_DOUBT:
            return  # it asks whether the order is there, before its turn: what is held goes out after the answer
        sent, asked = self._sent[order.id], self._asked[order.id]
        if request_id in sent or request_id == unwanted_cancel_id(order.id):
            return
        sent.append(request_id)
        if [request for request in asked if request in sent] != sent:
            self.broken.append(f"{order.id}: requests go out in another order than they were made in (promise 10)")

    def _faults(self, order: Order) -> Iterator[str]:
        venue = self._world.venue
        resting = venue.orders.get(order.id)
        if order.delivery in NOT_THERE and (resting is not None or venue.coming[order.id]):
            yield "taken for not sent, and the exchange has it or will get it (promise 4)"
        if order.delivery is Delivery.ACKED and resting is None:
            yield "taken for placed, and the exchange never had it (promise 4)"
        if order.phase is Phase.CANCELED and order.closed_by in VENUES_WORD and not _has_ended(resting):
            yield "told as canceled before the exchange has canceled it (promise 4)"
        known = {} if resting is None else {fill.exec_id: fill.quantity for fill in resting.executions}
        told = [exec_id for order_id, exec_id in self._told if order_id == order.id]
        if order.filled != sum(known.get(exec_id, 0) for exec_id in told):
            yield f"{order.filled} filled is not what the fills add up to (promise 5)"

    def _done_twice(self) -> Iterator[str]:
        venue, can = self._world.venue, self._world.venue.capabilities
        if not can.deduplicates:
            yield from (f"{order_id}: placed twice (promise 3)" for order_id, n in venue.arrivals.items() if n > 1)
        if not can.repeats_answers:
            yield from (
                f"{request_id}: a replace sent twice (promise 3)" for request_id, n in venue.sent.items() if n > 1
            )
        yield from (f"{request_id}: carried out twice (promise 3)" for request_id, n in venue.applied.items() if n > 1)


def _has_ended(resting: Resting | None) -> bool:
    return resting is not None and resting.state is VenueState.CANCELED
