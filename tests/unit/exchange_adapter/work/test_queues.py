"""Which queues are consumed, and what becomes of messages when that ends. Over a channel that only notes what is asked
of it, in virtual time; on a real RabbitMQ in tests/contract/test_adapter_work.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exchange_adapter.work.in_hand import WorkInHand
from exchange_adapter.work.intake import Intake
from exchange_adapter.work.queues import WorkQueues
from orders.broker.errors import BrokerAway
from orders.broker.link import Session
from tests.support.virtual_time import pass_time, run_virtually

Arrived = Callable[[Any], Awaitable[None]]
AT_ONCE_S = 0.01


class Message:
    body = b"a message"

    def __init__(self) -> None:
        self.answers: list[str] = []

    async def ack(self) -> None:
        self.answers.append("done")

    async def reject(self, *, requeue: bool) -> None:
        self.answers.append("returned" if requeue else "dead")


class Channel:
    """`consumers` as the client keeps them, by their tag, which is the queue's name here."""

    def __init__(self) -> None:
        self.consumers: dict[str, Arrived] = {}
        self.cancel_s = self.begin_s = 0.0

    async def set_qos(self, **how: object) -> None: ...

    async def get_underlay_channel(self) -> Channel:
        return self

    async def get_queue(self, name: str, *, ensure: bool) -> Queue:
        await pass_time(self.begin_s)
        return Queue(self, name)

    async def deliver(self, shard: int) -> Message:
        message = Message()
        await self.consumers[f"orders.work.{shard}"](message)
        return message


class Queue:
    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name

    async def consume(self, arrived: Arrived, *, timeout: float) -> str:
        self._channel.consumers[self._name] = arrived
        return self._name

    async def cancel(self, tag: str, *, timeout: float) -> None:
        await pass_time(self._channel.cancel_s)
        del self._channel.consumers[tag]


class Floor:
    """Queues that are consumed over a channel; `in_hand` is what was delivered."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.in_hand: list[WorkInHand] = []
        self.told: dict[int, int | None] = {}
        self.stop = asyncio.Event()
        intake = SimpleNamespace(deliver=self.in_hand.append, told_to={1: 77}, hints=0, undecodable=0)
        self.queues = WorkQueues("", "", cast(Intake, intake), listen=self._listen)
        self.queues.own({1, 2})
        session = cast(Session, SimpleNamespace(channel=self.channel))
        self.working = asyncio.ensure_future(self.queues._work(self.stop, session))

    @property
    def consumed(self) -> set[str]:
        return set(self.channel.consumers)

    def _listen(self, told: object) -> None:
        self.told = cast(dict[int, int | None], told)


def on_floor(test: Callable[[Floor], Coroutine[Any, Any, None]]) -> None:
    async def play(loop: object) -> None:
        floor = Floor()
        await pass_time(AT_ONCE_S)
        await test(floor)
        floor.stop.set()
        await asyncio.wait({floor.working})

    run_virtually(play)


def test_the_queues_of_the_owned_shards_are_consumed_and_no_others() -> None:
    async def test(floor: Floor) -> None:
        assert floor.consumed == {"orders.work.1", "orders.work.2"}
        floor.queues.own({2, 3})
        await pass_time(AT_ONCE_S)
        assert floor.consumed == {"orders.work.2", "orders.work.3"}
        assert floor.told.keys() == {2, 3}

    on_floor(test)


def test_a_shard_is_busy_until_its_consumer_has_ended() -> None:
    async def test(floor: Floor) -> None:
        floor.channel.cancel_s = 1.0
        floor.queues.own({2})
        assert floor.queues.busy_shards == {1}
        await pass_time(0.9)
        assert floor.queues.busy_shards == {1}
        await pass_time(0.2)
        assert floor.queues.busy_shards == frozenset()

    on_floor(test)


def test_what_is_in_hand_of_a_shard_that_is_given_up_goes_back_to_its_queue() -> None:
    async def test(floor: Floor) -> None:
        given_up, kept = await floor.channel.deliver(1), await floor.channel.deliver(2)
        late = floor.channel.consumers["orders.work.1"]
        floor.queues.own({2})
        await pass_time(AT_ONCE_S)
        assert (given_up.answers, kept.answers) == (["returned"], [])
        on_its_way = Message()
        await late(on_its_way)
        await pass_time(AT_ONCE_S)
        assert on_its_way.answers == ["returned"]
        assert len(floor.in_hand) == 2, "nobody begins to work on it"

    on_floor(test)


def test_so_does_what_is_in_hand_of_one_that_is_given_up_and_ours_again_while_other_consumers_begin() -> None:
    async def test(floor: Floor) -> None:
        floor.channel.begin_s = 1.0
        message, kept = await floor.channel.deliver(1), await floor.channel.deliver(2)
        floor.queues.own({1, 2, 3})
        await pass_time(0.5)
        floor.queues.own({2})
        await pass_time(0.1)
        floor.queues.own({1, 2, 3})
        await pass_time(3)
        assert (message.answers, kept.answers) == (["returned"], [])
        assert floor.consumed == {"orders.work.1", "orders.work.2", "orders.work.3"}

    on_floor(test)


def test_a_stop_ends_the_consumers_first_and_returns_what_is_in_hand() -> None:
    async def test(floor: Floor) -> None:
        message = await floor.channel.deliver(1)
        floor.stop.set()
        await asyncio.wait({floor.working})
        assert (floor.consumed, message.answers, floor.told) == (set(), ["returned"], {})
        assert floor.queues.figures().queues == 0

    on_floor(test)


def test_how_far_messages_have_told_is_said_only_of_shards_with_some_in_hand() -> None:
    async def test(floor: Floor) -> None:
        assert floor.told == {1: None, 2: None}
        await floor.channel.deliver(1)
        await pass_time(1)
        assert floor.told == {1: 77, 2: None}
        floor.in_hand[0].bury()
        await pass_time(1)
        assert floor.told == {1: None, 2: None}

    on_floor(test)


def test_a_consumer_that_the_broker_has_ended_ends_the_session_and_what_is_in_hand_is_not_answered() -> None:
    async def test(floor: Floor) -> None:
        message = await floor.channel.deliver(2)
        del floor.channel.consumers["orders.work.1"]
        await pass_time(1)
        with pytest.raises(BrokerAway):
            floor.working.result()
        floor.in_hand[0].give_back()
        await pass_time(1)
        assert (message.answers, floor.told) == ([], {})

    on_floor(test)
