"""Any commands in any order: no history comes about that may not be, and every event tells truly what it made.

What the events add up to is read a second time, naively (order_histories.py), and compared at every step.
"""

from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid5

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve, fold, view
from orders.domain.terms import Rules
from orders.domain.values import Capabilities
from orders.eventstore import codec
from tests.property import order_commands as any_
from tests.property.order_commands import AT, ORDER_ID
from tests.property.order_histories import Reading, faults


class OrderMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.order: Order
        self.reading: Reading
        self.rules = Rules()
        self.history: list[e.OrderEvent] = []
        self.given: list[tuple[type[c.Command], dict[str, Any]]] = []
        self.requests: list[UUID] = []
        self.commands = 0

    @initialize(venue=any_.capabilities, placement=any_.placements())
    def place(self, venue: Capabilities, placement: dict[str, Any]) -> None:
        self.rules = Rules(venue=venue)
        self.reading = Reading(venue)
        events = decide(None, self._command(c.PlaceOrder, placement), self.rules)
        self._take(events)

    @rule(data=st.data())
    def a_client_asks(self, data: st.DataObject) -> None:
        self._give(*data.draw(any_.client_commands(self.order)))

    @rule(data=st.data())
    def a_call_ends(self, data: st.DataObject) -> None:
        self._give(*data.draw(any_.call_outcomes(self.order)))

    @rule(data=st.data())
    def the_venue_answers(self, data: st.DataObject) -> None:
        self._give(*data.draw(any_.venue_words(self.order, self.requests[-3:])))

    @rule(said=any_.executions())
    def the_venue_executes(self, said: tuple[type[c.Command], dict[str, Any]]) -> None:
        self._give(*said)

    @rule(said=any_.operator_commands())
    def an_operator_asks(self, said: tuple[type[c.Command], dict[str, Any]]) -> None:
        self._give(*said)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def something_is_said_again(self, data: st.DataObject) -> None:
        self._give(*data.draw(st.sampled_from(self.given)))

    def _command(self, kind: type[c.Command], fields: dict[str, Any]) -> c.Command:
        self.commands += 1
        at = AT + timedelta(milliseconds=self.commands)
        return kind(order_id=ORDER_ID, command_id=uuid5(ORDER_ID, str(self.commands)), at=at, by="x", **fields)

    def _give(self, kind: type[c.Command], fields: dict[str, Any]) -> None:
        self.given.append((kind, fields))
        command, before = self._command(kind, fields), repr(self.order)
        try:
            events = decide(self.order, command, self.rules)
        except Refusal:
            events = []
        else:
            assert decide(self.order, command, self.rules) == events
        assert repr(self.order) == before
        self._take(events)

    def _take(self, events: list[e.OrderEvent]) -> None:
        found = list(faults(self.reading, events))
        assert not found, "\n".join(found)
        order = self.order if self.history else None
        for event in events:
            assert codec.decode(codec.topic_of(event), codec.encode(event)) == event
            before = repr(order)
            after = evolve(ORDER_ID, order, event)
            assert repr(order) == before
            order = after
            assert event.after == view(order)
            if isinstance(event, e.CancelRequested | e.ReplaceRequested):
                self.requests.append(event.event_id)
        self.history += events
        assert order is not None
        self.order = order

    @invariant()
    def the_order_is_what_its_events_add_up_to(self) -> None:
        order, reading = self.order, self.reading
        assert (order.status, order.ord_status, order.delivery) == (
            reading.status,
            reading.ord_status,
            reading.delivery,
        )
        assert (order.filled, Fraction(order.executions.notional)) == (reading.filled, reading.notional)
        assert (order.quantity, order.limit_price) == (reading.quantity, reading.limit_price)
        assert (order.attempts, order.in_doubt) == (reading.attempts, reading.doubted)
        assert order.lives_unwanted == reading.lives_unwanted
        assert order.version == len(self.history)
        assert (order.executed_at is not None) == (reading.status == "Executed")

    def teardown(self) -> None:
        if self.history:
            assert fold(ORDER_ID, self.history) == self.order
            half = len(self.history) // 2
            assert fold(ORDER_ID, self.history[half:], fold(ORDER_ID, self.history[:half])) == self.order


TestOrderMachine = OrderMachine.TestCase
TestOrderMachine.settings = settings(report_multiple_bugs=False)  # one at a time: shrinking several takes minutes
