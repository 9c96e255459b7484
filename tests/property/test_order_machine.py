"""Any commands in any order: no history comes about that may not be, and every event tells truly what it made.

What the events add up to is read a second time, naively (order_histories.py), and compared at every step.
"""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.property import order_commands as any_
from tests.property.order_life import Life

SEEDS = st.integers(0, 2**32 - 1)
YOUTH = st.integers(0, 30)  # commands before the rules begin: most runs would not get far from the start by themselves


class OrderMachine(RuleBasedStateMachine):
    @initialize(seed=SEEDS, steps=YOUTH)
    def place(self, seed: int, steps: int) -> None:
        random = Random(seed)
        self.life = Life(random)
        self.life.go_on(random, steps)

    @precondition(lambda self: self.life.is_on_its_way or self.life.may_end)
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

    @precondition(lambda self: self.life.may_end)
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
# Four in five examples are variations of others. One failure at a time: shrinking several takes minutes.
TestOrderMachine.settings = settings(max_examples=4 * settings().max_examples, report_multiple_bugs=False)
