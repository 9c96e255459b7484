"""An order that lives through any commands, watched at every step."""

from datetime import timedelta
from fractions import Fraction
from random import Random
from uuid import UUID, uuid5

from orders.domain import events as e
from orders.domain.commands import Command, PlaceOrder
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve, fold, view
from orders.domain.terms import Rules
from orders.domain.values import Delivery, Phase
from orders.eventstore import codec
from tests.property import order_commands as any_
from tests.property.order_commands import AT, ORDER_ID, Giver, Said, any_order, any_venue
from tests.property.order_histories import Reading, faults

ENDED_STEPS = 8  # what may still come after an end
LIVES_FOR = 25  # commands until the order may be ended, or canceled unsent: after that little can happen
GIVERS: list[Giver] = [
    *[any_.client_command] * 3,
    *[any_.call_outcome] * 6,
    *[any_.answer] * 4,
    *[any_.execution] * 3,
    any_.operator_command,
]


class Life:
    """`order` is what the domain makes of the events, `reading` what the naive reading makes of them."""

    def __init__(self, random: Random) -> None:
        self.rules = Rules(venue=any_venue(random))
        self.reading = Reading(self.rules.venue)
        self.history: list[e.OrderEvent] = []
        self.said: list[Said] = []
        self.requests: list[UUID] = []
        placed = decide(None, self._command((PlaceOrder, any_order(random))), self.rules)
        self.order: Order = evolve(ORDER_ID, None, placed[0])
        self._take(None, placed)

    def say(self, said: Said) -> None:
        """Gives the command; AssertionError where something comes about that may not be."""
        self.said.append(said)
        command, before = self._command(said), repr(self.order)
        try:
            events = decide(self.order, command, self.rules)
        except Refusal:
            events = []
        else:
            assert decide(self.order, command, self.rules) == events
        assert repr(self.order) == before
        self._take(self.order, events)
        self._is_what_its_events_add_up_to()

    @property
    def may_end(self) -> bool:
        return len(self.said) > LIVES_FOR

    @property
    def is_on_its_way(self) -> bool:
        return self.order.delivery not in (Delivery.QUEUED, Delivery.PARKED)

    def go_on(self, random: Random, steps: int) -> None:
        """Commands of everyone, as they may come; few after the order's end."""
        ended = 0
        for _ in range(steps):
            self.say(self._next(random))
            ended = 0 if self.order.phase is Phase.OPEN else ended + 1
            if ended > ENDED_STEPS:
                break

    def _next(self, random: Random) -> Said:
        draw = random.random()
        if draw < 0.1 and self.said:
            return random.choice(self.said)
        if draw < 0.2 and self.may_end:
            return any_.end(random, self.order, self.requests)
        giver = random.choice(GIVERS)
        too_early = giver is any_.client_command and not self.is_on_its_way and not self.may_end
        too_soon = giver is any_.execution and self.order.delivery is not Delivery.ACKED and random.random() < 0.7
        return (any_.call_outcome if too_early or too_soon else giver)(random, self.order, self.requests)

    def check_folds(self) -> None:
        """At once, in two parts, and from what is stored: the same order."""
        half = len(self.history) // 2
        assert fold(ORDER_ID, self.history) == self.order
        assert fold(ORDER_ID, self.history[half:], fold(ORDER_ID, self.history[:half])) == self.order

    def _command(self, said: Said) -> Command:
        kind, fields = said
        number = len(self.said)
        command_id, at = uuid5(ORDER_ID, str(number)), AT + timedelta(milliseconds=number)
        return kind(order_id=ORDER_ID, command_id=command_id, at=at, by="x", **fields)

    def _take(self, order: Order | None, events: list[e.OrderEvent]) -> None:
        found = list(faults(self.reading, events))
        assert not found, "\n".join(found)
        for event in events:
            assert codec.decode(codec.topic_of(event), codec.encode(event)) == event
            before = repr(order)
            after = evolve(ORDER_ID, order, event)
            assert repr(order) == before
            assert event.after == view(after)
            order = self.order = after
            if isinstance(event, e.CancelRequested | e.ReplaceRequested):
                self.requests.append(event.event_id)
        self.history += events

    def _is_what_its_events_add_up_to(self) -> None:
        order, reading = self.order, self.reading
        assert (order.status, order.ord_status) == (reading.status, reading.ord_status)
        assert (order.delivery, order.attempts, order.in_doubt) == (reading.delivery, reading.attempts, reading.doubted)
        assert (order.filled, Fraction(order.executions.notional)) == (reading.filled, reading.notional)
        assert (order.quantity, order.limit_price) == (reading.quantity, reading.limit_price)
        assert (order.pending_cancel is not None, order.pending_replace is not None) == (
            reading.cancel is not None,
            reading.change is not None,
        )
        assert order.lives_unwanted == reading.lives_unwanted
        assert order.version == len(self.history)
        assert (order.executed_at is not None) == (reading.status == "Executed")
