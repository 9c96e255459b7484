"""Anything befalls the whole adapter, and crashes between any two steps: promises 3, 4, 5 and 10 hold after each.

A venue that trades, cuts, hangs, answers late and reports in disorder; a log that is away or whose answers are lost;
several processes that believe that they own the same shards. Afterwards, where everything can be known, everything is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.property.adapter_promises import Watch
from tests.property.adapter_world import VENUES, World, settles_all
from tests.support.virtual_time import VirtualLoop, pass_time

YOUTH = st.integers(0, 60)  # steps before the rules begin: most runs would not get far from the start by themselves
ANY_ORDER = st.integers(0, 99)
SOON_S = st.floats(0.0, 0.4)  # as long as a turn takes whose call ends well
WHILE_S = st.floats(0.0, 30.0)


class AdapterMachine(RuleBasedStateMachine):
    @initialize(name=st.sampled_from(sorted(VENUES)), seed=st.integers(0, 2**32), steps=YOUTH)
    def open(self, name: str, seed: int, steps: int) -> None:
        self.name = name
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        loop = self.runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.world = World(loop, VENUES[name], seed)
        self.watch = Watch(self.world)
        self.whole = True
        self._run(self._begin())
        random = Random(seed)
        for _ in range(steps):
            self._run(self.world.befall(random))
            self.promises_hold()

    @rule(count=st.integers(1, 3), seconds=SOON_S)
    def clients_place(self, count: int, seconds: float) -> None:
        self.world.place(count)
        self._pass(seconds)

    @precondition(lambda self: self.world.orders)
    @rule(number=ANY_ORDER, seconds=SOON_S)
    def a_client_cancels(self, number: int, seconds: float) -> None:
        self.world.cancel(self._order(number))
        self._pass(seconds)

    @precondition(lambda self: self.world.orders)
    @rule(number=ANY_ORDER, quantity=st.integers(1, 30), seconds=SOON_S)
    def a_client_replaces(self, number: int, quantity: int, seconds: float) -> None:
        self.world.replace(self._order(number), quantity)
        self._pass(seconds)

    @precondition(lambda self: self.world.orders)
    @rule(number=ANY_ORDER, quantity=st.integers(1, 30), seconds=SOON_S)
    def the_venue_trades(self, number: int, quantity: int, seconds: float) -> None:
        self.world.trade(self._order(number), quantity)
        self._pass(seconds)

    @rule(seconds=SOON_S)
    def the_adapter_crashes(self, seconds: float) -> None:
        self._run(self.world.crash())
        self._pass(seconds)

    @rule(seconds=SOON_S)
    def another_process_starts(self, seconds: float) -> None:
        self._run(self._begin())
        self._pass(seconds)

    @rule(seconds=SOON_S)
    def the_database_comes_or_goes(self, seconds: float) -> None:
        self.world.floor.appender.away = not self.world.floor.appender.away
        self._pass(seconds)

    @rule(seconds=SOON_S)
    def an_answer_of_the_database_is_lost(self, seconds: float) -> None:
        self.world.lose_an_answer()
        self._pass(seconds)

    @rule(seconds=WHILE_S)
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)

    @invariant()
    def promises_hold(self) -> None:
        if hasattr(self, "watch"):
            self.whole = False
            self.watch.look()
            self.whole = True

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if self.whole:
                self._run(self.world.calm_down())
                self.watch.look()
                if settles_all(VENUES[self.name]):
                    self.watch.agrees()
        finally:
            self._run(self.world.end())
            self.runner.close()

    async def _begin(self) -> None:
        self.world.start()

    def _order(self, number: int) -> UUID:
        return self.world.orders[number % len(self.world.orders)]

    def _pass(self, seconds: float) -> None:
        self._run(pass_time(seconds))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(coroutine)


TestAdapterMachine = AdapterMachine.TestCase
TestAdapterMachine.settings = settings(
    max_examples=settings().max_examples // 2,
    stateful_step_count=20,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a seed has no simpler one, and to look for it takes minutes
)
