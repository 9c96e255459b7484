"""A venue that works off so many requests a second, in the order they came. Time is virtual."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from simulated_exchange.bounds import MAX_LATENCY_S
from simulated_exchange.errors import BadSetting
from simulated_exchange.faults import FaultPlan, Faults
from simulated_exchange.turnstile import Turnstile
from tests.support.virtual_time import VirtualLoop, pass_time, run_virtually


class Door:
    """A turnstile, and who came through when."""

    def __init__(self, loop: VirtualLoop, capacity: int) -> None:
        self.faults = Faults(FaultPlan(capacity=capacity), 1)
        self.turnstile = Turnstile(self.faults)
        self.passed: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self._loop = loop

    def enter(self, *names: str) -> None:
        for name in names:
            self.turnstile.enter(self._loop.time(), self._pass(name), lambda name=name: self.refused.append(name))  # type: ignore[misc]

    def _pass(self, name: str) -> Callable[[], None]:
        return lambda: self.passed.append((name, round(self._loop.time(), 3)))


def test_without_a_capacity_all_pass_at_once() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 0)
        door.enter("a", "b", "c")
        assert [name for name, _ in door.passed] == ["a", "b", "c"]

    run_virtually(life)


def test_more_than_it_works_off_wait_in_the_order_they_came() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 10)
        door.enter("a", "b", "c")
        await pass_time(0.15)
        door.enter("d")
        await pass_time(1)
        assert door.passed == [("a", 0.0), ("b", 0.1), ("c", 0.2), ("d", 0.3)]

    run_virtually(life)


def test_an_idle_venue_saves_up_nothing() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 10)
        door.enter("a")
        await pass_time(5)
        door.enter("b", "c")
        await pass_time(1)
        assert door.passed == [("a", 0.0), ("b", 5.0), ("c", 5.1)]

    run_virtually(life)


def test_a_change_of_the_capacity_holds_for_those_who_wait_and_keeps_their_order() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 1)
        door.enter("a", "b", "c")
        door.faults.plan = FaultPlan()
        door.enter("d")
        await pass_time(1)
        assert door.passed == [("a", 0.0), ("b", 1.0), ("c", 1.0), ("d", 1.0)]

    run_virtually(life)


def test_whose_turn_does_not_come_in_time_is_refused_and_takes_no_one_elses() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 1)
        turns = round(MAX_LATENCY_S) + 1
        early, late = [f"early {number}" for number in range(turns)], [f"late {number}" for number in range(5)]
        door.enter(*early, *late)
        await pass_time(turns)
        door.enter("next")
        await pass_time(2)
        assert (door.refused, door.passed[-1][0], len(door.passed)) == (late, "next", turns + 1)

    run_virtually(life)


def test_after_a_stop_nobody_passes() -> None:
    async def life(loop: VirtualLoop) -> None:
        door = Door(loop, 10)
        door.enter("a", "b")
        door.turnstile.stop()
        await pass_time(1)
        assert [name for name, _ in door.passed] == ["a"]

    run_virtually(life)


@pytest.mark.parametrize("capacity", [-1, 1_000_001])
def test_a_capacity_that_cannot_be_is_refused(capacity: int) -> None:
    with pytest.raises(BadSetting, match="capacity"):
        msgspec.structs.replace(FaultPlan(), capacity=capacity).checked()
