"""The feeder: nothing new is late, and what was seen is not read again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from exchange_adapter.bounds import REFILL_POLL_S, SWEEP_S
from exchange_adapter.clock import Clock
from exchange_adapter.work.duties import Changed, Known
from exchange_adapter.work.duty import Duty
from exchange_adapter.work.feeder import Feeder
from exchange_adapter.work.window import DutyWindow
from orders.domain.order import Order, evolve
from orders.domain.values import Capabilities, Delivery
from tests.support.order_events import placed
from tests.support.virtual_time import InlineExecutor, VirtualLoop, pass_time, run_virtually

ASKED_ONLY = Capabilities(queries=True)


def duty(since: int, delivery: Delivery = Delivery.QUEUED) -> Duty:
    return Duty(
        order_id=UUID(int=since),
        shard=0,
        since_position=since,
        position=since,
        version=1,
        symbol="EURUSD",
        delivery=delivery,
    )


class Table:
    def __init__(self, *duties: Duty) -> None:
        self.duties = list(duties)
        self.wholly_read = 0
        self.returned = 0

    def due(self, shards: Collection[int], now: datetime, limit: int, *, known: Known | None = None) -> Sequence[Duty]:
        self.wholly_read += known is None
        found = [one for one in self.duties if known is None or one.position > known.position][:limit]
        self.returned += len(found)
        return found


Scene = Callable[[Feeder, DutyWindow], Coroutine[Any, Any, None]]


def played(table: Table, scene: Scene, *, limit: int = 8, know: Callable[[Order], None] = lambda order: None) -> None:
    async def play(loop: VirtualLoop) -> None:
        window, stop = DutyWindow(limit, refill_below=2), asyncio.Event()
        feeder = Feeder(
            duties=table,
            window=window,
            venue=ASKED_ONLY,
            wake=lambda: None,
            clock=Clock(loop.time, loop.utc),
            threads=InlineExecutor(),
            know=know,
            limit=limit,
        )
        feeder.own({0})
        running = asyncio.ensure_future(feeder.run(stop))
        await pass_time(0.01)
        await scene(feeder, window)
        stop.set()
        await running

    run_virtually(play)


def next_one(window: DutyWindow, now: float = 0.0) -> int | None:
    entry = window.take(now)
    return None if entry is None else entry.duty.since_position


def all_wait(window: DutyWindow) -> None:
    while (entry := window.take(0.0)) is not None:
        entry.duty = duty(entry.duty.since_position, Delivery.IN_DOUBT)
        window.put_back(entry, 30.0)


def test_a_new_order_is_placed_at_once_while_more_than_fit_can_only_be_asked_about_again() -> None:
    table = Table(*(duty(number, Delivery.IN_DOUBT) for number in range(1, 50)))

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        all_wait(window)
        feeder.changed(Changed((duty(90),), ()))
        assert next_one(window) == 90

    played(table, scene)


def test_a_new_order_is_placed_at_once_though_all_that_fit_were_sent_and_are_in_doubt() -> None:
    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        all_wait(window)
        assert window.room == 0
        feeder.changed(Changed((duty(90),), ()))
        assert next_one(window) == 90

    played(Table(*map(duty, range(1, 9))), scene)


def test_what_was_just_placed_is_known_where_it_is_ours_to_send() -> None:
    known: list[UUID] = []

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        orders = tuple(evolve(UUID(int=number), None, placed()) for number in (64, 65, 128))
        feeder.changed(Changed((), (), orders))
        assert known == [UUID(int=64), UUID(int=128)]

    played(Table(), scene, know=lambda order: known.append(order.id))


def test_what_another_follower_tells_of_arrives_with_the_next_poll_and_nothing_is_read_twice() -> None:
    table = Table(*map(duty, range(1, 4)))

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        all_wait(window)
        await pass_time(SWEEP_S / 2)
        assert (table.wholly_read, table.returned) == (1, 3)
        table.duties.append(duty(90))
        await pass_time(REFILL_POLL_S)
        assert next_one(window) == 90
        assert (table.wholly_read, table.returned) == (1, 4)

    played(table, scene)


def test_where_messages_tell_of_first_attempts_all_else_arrives_with_the_next_poll_all_the_same() -> None:
    table = Table(duty(1))

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        all_wait(window)
        feeder.listen({0: None})
        table.duties += [duty(80), duty(90, Delivery.IN_DOUBT)]
        await pass_time(2 * REFILL_POLL_S)
        assert [next_one(window), next_one(window)] == [90, None]
        assert table.wholly_read == 1

    played(table, scene)


def test_the_whole_table_is_read_again_each_sweep() -> None:
    table = Table(duty(5))

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        table.duties.append(duty(1))  # older than what was read: a table made again
        await pass_time(SWEEP_S + REFILL_POLL_S)
        assert table.wholly_read == 2
        assert [next_one(window), next_one(window)] == [1, 5]

    played(table, scene)


def test_a_table_that_holds_more_than_fits_is_read_when_few_are_left() -> None:
    table = Table(*map(duty, range(1, 20)))

    async def scene(feeder: Feeder, window: DutyWindow) -> None:
        await pass_time(SWEEP_S / 2)
        assert table.wholly_read == 1
        window.remove([UUID(int=number) for number in range(1, 9)])
        del table.duties[:8]
        await pass_time(REFILL_POLL_S)
        assert (table.wholly_read, next_one(window)) == (2, 9)

    played(table, scene)
