"""Any commands in any order: no history comes about that may not be, and every event tells truly what it made.

What the events add up to is read a second time, naively (order_histories.py), and compared at every step.
"""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from orders.domain.values import Delivery
from tests.property import order_commands as any_
from tests.property.order_life import Life

SEEDS = st.integers(0, 2**32 - 1)
LIVES_FOR = 25  # commands until the order may be canceled unsent, or ended: after that little can happen


class OrderMachine(RuleBasedStateMachine):
    @initialize(seed=SEEDS)
    def place(self, seed: int) -> None:
        self.life = Life(Random(seed))

    def _is_on_its_way(self) -> bool:
        on_its_way = self.life.order.delivery not in (Delivery.QUEUED, Delivery.PARKED)
        return on_its_way or len(self.life.said) > LIVES_FOR

    @precondition(_is_on_its_way)
    @rule(seed=SEEDS)
    def a_client_asks(self, seed: int) -> None:
        self._say(any_.client_command, seed)

    @rule(seed=SEEDS)
    def a_call_ends(self, seed: int) -> None:
        self._say(any_.call_outcome, seed)

    @precondition(lambda self: self.life.requests)
    @rule(seed=SEEDS)
    def the_venue_answers(self, seed: int) -> None:
        self._say(any_.answer, seed)

    @rule(seed=SEEDS)
    def the_venue_executes(self, seed: int) -> None:
        self._say(any_.execution, seed)

    @rule(seed=SEEDS)
    def an_operator_asks(self, seed: int) -> None:
        self._say(any_.operator_command, seed)

    @precondition(lambda self: len(self.life.said) > LIVES_FOR)
    @rule(seed=SEEDS)
    def it_ends(self, seed: int) -> None:
        self._say(any_.end, seed)

    @precondition(lambda self: self.life.said)
    @rule(seed=SEEDS)
    def something_is_said_again(self, seed: int) -> None:
        self.life.say(Random(seed).choice(self.life.said))

    def _say(self, giver: any_.Giver, seed: int) -> None:
        self.life.say(giver(Random(seed), self.life.order, self.life.requests))

    def teardown(self) -> None:
        if hasattr(self, "life"):
            self.life.check_folds()


TestOrderMachine = OrderMachine.TestCase
TestOrderMachine.settings = settings(report_multiple_bugs=False)  # one at a time: shrinking several takes minutes
