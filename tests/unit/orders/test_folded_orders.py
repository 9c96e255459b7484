"""The orders kept folded: bounded in number and in fills, and many of them given commands in one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from orders.domain import commands as c
from orders.domain.order import Order
from orders.domain.terms import Rules
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Appended, Conflict, Unit
from orders.eventstore.read_threads import ReadThreads
from orders.handlers import CommandHandler, FoldedOrders
from tests.support.given import CAPABLE, NOW
from tests.support.running_adapter import Client
from tests.support.virtual_time import InlineExecutor, run_virtually

EXEC_IDS = [f"E{number}" for number in range(1_000)]


class Appender:
    """Appends at once; `commits` has how many units each commit had."""

    def __init__(self, store: MemoryEventStore) -> None:
        self.commits: list[int] = []
        self._store = store

    async def append(self, unit: Unit) -> Appended | Conflict:
        return (await self.append_whole([unit]))[0]

    async def append_whole(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        self.commits.append(len(units))
        return self._store.append(units)


class Desk:
    def __init__(self) -> None:
        self.store = MemoryEventStore()
        self.client = Client(self.store, CAPABLE)
        self.appender = Appender(self.store)
        self.handler = CommandHandler(self.store, self.appender, Rules(venue=CAPABLE), ReadThreads(InlineExecutor()))

    async def fill_together(self, order_ids: Sequence[UUID], quantity: int = 10) -> set[UUID]:
        """Those that were done."""
        return set(await self.handler.execute_folded({order_id: fills(order_id, quantity) for order_id in order_ids}))


def on_desk(test: Callable[[Desk], Any]) -> None:
    run_virtually(lambda loop: test(Desk()))


def fills(order_id: UUID, quantity: int = 10, exec_id: str = "E1") -> Callable[[Order], list[c.Command]]:
    return lambda order: [
        c.RecordExecution(
            order_id=order_id,
            command_id=uuid4(),
            at=NOW,
            by="test",
            exec_id=exec_id,
            quantity=quantity,
            price=Decimal(1),
            leaves=None,
        )
    ]


def order_with(fills: int) -> Order:
    client = Client(MemoryEventStore(), CAPABLE)
    (order_id,) = client.place(quantity=100)
    order = client.order(order_id)
    executions = order.executions
    for exec_id in EXEC_IDS[:fills]:
        executions = executions.filled(exec_id, 1, Decimal(1))
    return Order(**{**{name: getattr(order, name) for name in order.__struct_fields__}, "executions": executions})


def test_the_oldest_orders_leave_when_there_are_too_many_of_them_or_of_their_fills() -> None:
    for folded, orders in (
        (FoldedOrders(limit=3), [order_with(0) for _ in range(4)]),
        (FoldedOrders(fills=300), [order_with(100) for _ in range(4)]),
    ):
        for order in orders[:3]:
            folded.keep(order)
        assert folded.get(orders[0].id) is not None  # used, so the second is the oldest now
        folded.keep(orders[3])
        assert [folded.get(order.id) is not None for order in orders] == [True, False, True, True]


def test_an_order_with_more_fills_than_the_bound_is_kept_alone() -> None:
    folded, small, large = FoldedOrders(fills=100), order_with(10), order_with(500)
    folded.keep(small)
    folded.keep(large)
    assert (folded.get(small.id), folded.get(large.id)) == (None, large)
    folded.keep(small)
    assert (folded.get(small.id), folded.get(large.id)) == (small, None)


def test_the_fills_of_many_orders_are_one_commit() -> None:
    async def test(desk: Desk) -> None:
        order_ids = desk.client.place(20)
        for order_id in order_ids:
            await desk.handler.load(order_id)
        assert await desk.fill_together(order_ids) == set(order_ids)
        assert desk.appender.commits == [20]
        assert {desk.client.order(order_id).filled for order_id in order_ids} == {10}

    on_desk(test)


def test_what_cannot_be_done_with_the_others_is_left_out_and_changes_nothing() -> None:
    async def test(desk: Desk) -> None:
        fine, unread, moved, refused, repeated = desk.client.place(5)
        for order_id in (fine, moved, refused, repeated):
            await desk.handler.load(order_id)
        await desk.handler.execute_all(repeated, fills(repeated))
        desk.client.cancel(moved)
        made = {order_id: fills(order_id) for order_id in (fine, unread, moved, repeated)}
        done = await desk.handler.execute_folded({**made, refused: fills(refused, quantity=0)})
        assert done.keys() == {fine}
        assert done[fine].order == desk.client.order(fine)
        assert [recorded.version for recorded in done[fine].events] == [2]
        left = [desk.client.order(order_id).filled for order_id in (unread, moved, refused, repeated)]
        assert left == [0, 0, 0, 10]

    on_desk(test)


def test_an_order_that_had_moved_on_is_decided_on_its_present_state_by_the_slow_way() -> None:
    async def test(desk: Desk) -> None:
        (order_id,) = desk.client.place()
        await desk.handler.load(order_id)
        desk.client.give(fills(order_id)(desk.client.order(order_id))[0])
        assert await desk.fill_together([order_id]) == set()
        done = await desk.handler.execute_all(order_id, fills(order_id))
        assert (done.events, done.order.filled) == ((), 10)

    on_desk(test)


def test_two_rounds_follow_one_another_without_reading_the_log() -> None:
    async def test(desk: Desk) -> None:
        order_ids = desk.client.place(3, quantity=100)
        for order_id in order_ids:
            await desk.handler.load(order_id)
        reads = desk.store.read_stream
        desk.store.read_stream = None  # type: ignore[method-assign,assignment]
        for exec_id in EXEC_IDS[:5]:
            await desk.handler.execute_folded({o: fills(o, 7, exec_id) for o in order_ids})
        desk.store.read_stream = reads  # type: ignore[method-assign]
        assert {desk.client.order(order_id).filled for order_id in order_ids} == {35}

    on_desk(test)


def command(kind: type[c.Command], order_id: UUID, **fields: Any) -> c.Command:
    return kind(order_id=order_id, command_id=uuid4(), at=NOW, by="test", **fields)


def test_a_refusal_and_nothing_to_do_are_believed_of_the_present_order_only() -> None:
    async def test(desk: Desk) -> None:
        (order_id,) = desk.client.place()
        await desk.handler.execute(command(c.StartSubmit, order_id, worker="w"))
        desk.client.give(command(c.RecordSubmitFailed, order_id, attempts=(1,), reason="down"))
        again = await desk.handler.execute(command(c.StartSubmit, order_id, worker="w"))
        assert again.order.attempts == 2  # though the folded one was being sent
        desk.client.replace(order_id, quantity=20)
        refused = await desk.handler.execute(command(c.RecordReplaceRejected, order_id, reason="no"))
        assert refused.order.pending_replace is None
        assert len(refused.events) == 1  # though nothing waited in the folded one

    on_desk(test)
