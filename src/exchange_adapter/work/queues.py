"""Consumes the queues of the shards that this process owns, over one connection to RabbitMQ.

A queue is consumed from when its shard is taken, and no more when the shard is given up: until the broker has ended the
consumer, or the connection is closed, the shard counts as busy. What goes wrong on the connection, a deleted queue or a
closed channel too, ends it; it is opened again at once, queues are declared, and the broker sends again what was in
hand. A message that is sent twice does no harm: the log says what was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import cast

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq import Channel

from exchange_adapter.bounds import CONSUMER_CANCEL_S, CONSUMERS_LOOK_S, QUEUE_PREFETCH, QUEUES_END_S
from exchange_adapter.figures import Messages
from exchange_adapter.waiting import first_of
from exchange_adapter.work.in_hand import Verdict, WorkInHand
from exchange_adapter.work.intake import Intake
from orders.broker.errors import BrokerAway
from orders.broker.link import Session, declare_work, keep_connected
from orders.broker.topology import WORK_QUEUES

Deliver = Callable[[WorkInHand], None]
Listen = Callable[[Mapping[int, int | None]], None]
"""The shards whose queues are consumed; up to which position messages have told where some are in hand, else None."""


class WorkQueues:
    """For the loop's own thread. `intake` gets each message; `listen` hears again and again how far they tell."""

    def __init__(self, url: str, name: str, intake: Intake, *, listen: Listen) -> None:
        self._url = url
        self._name = name
        self._intake = intake
        self._listen = listen
        self._shards: frozenset[int] = frozenset()
        self._given_up: frozenset[int] = frozenset()  # since consumers were looked at last, though it be for a moment
        self._moved = asyncio.Event()
        self._consumers: _Consumers | None = None

    def own(self, shards: Collection[int]) -> None:
        """From now on, the queues of these shards and of no others. What is in hand of one that is given up goes back
        to its queue, also where it is ours again by then: the window has forgotten what it named."""
        self._given_up |= self._shards.difference(shards)
        self._shards = frozenset(shards)
        self._moved.set()

    @property
    def busy_shards(self) -> frozenset[int]:
        """Whose queues are still consumed, although they are no longer ours."""
        return frozenset() if self._consumers is None else self._consumers.shards - self._shards

    def figures(self) -> Messages:
        consumers, intake = self._consumers, self._intake
        return Messages(
            queues=0 if consumers is None else len(consumers.shards),
            in_hand=0 if consumers is None else consumers.in_hand,
            hints=intake.hints,
            undecodable=intake.undecodable,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is in hand then goes back to its queue. Goes on by itself when the broker was away."""
        connected = keep_connected(self._url, self._name, stop, prepare=declare_work, work=partial(self._work, stop))
        parts = {asyncio.ensure_future(connected), asyncio.ensure_future(self._intake.run(stop))}
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({*parts, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(parts, timeout=QUEUES_END_S if stop.is_set() else 0)
        finally:
            for task in (*parts, stopping):
                task.cancel()
        for part in parts:
            if part.done() and not part.cancelled():
                part.result()

    async def _work(self, stop: asyncio.Event, session: Session) -> None:
        consumers = self._consumers = _Consumers(session.channel, self._intake.deliver)
        try:
            await session.channel.set_qos(prefetch_count=QUEUE_PREFETCH, timeout=CONSUMER_CANCEL_S)
            while not stop.is_set():
                self._moved.clear()
                given_up, self._given_up = self._given_up, frozenset()
                await consumers.keep_to(lambda: self._shards, given_up)
                self._listen(self._told(consumers))
                await first_of(stop, self._moved, timeout_s=CONSUMERS_LOOK_S)
                await consumers.check()
            await consumers.keep_to(frozenset)
            await consumers.answered()
        finally:
            self._consumers = None
            consumers.lose()
            self._listen({})

    def _told(self, consumers: _Consumers) -> dict[int, int | None]:
        waiting = consumers.waiting
        return {shard: self._intake.told_to.get(shard, 0) if shard in waiting else None for shard in consumers.shards}


class _Consumers:
    """Those of one channel. Its methods raise the client's errors where the channel is lost."""

    def __init__(self, channel: AbstractChannel, deliver: Deliver) -> None:
        self._channel = channel
        self._deliver = deliver
        self._tags: dict[int, str | None] = {}  # None while the broker is being asked
        self._queues: dict[int, AbstractQueue] = {}
        self._in_hand: dict[WorkInHand, AbstractIncomingMessage] = {}
        self._answers: asyncio.Queue[tuple[AbstractIncomingMessage, Verdict]] = asyncio.Queue()
        self._answering = asyncio.ensure_future(self._answer())

    @property
    def shards(self) -> frozenset[int]:
        return frozenset(self._tags)

    @property
    def in_hand(self) -> int:
        return len(self._in_hand)

    @property
    def waiting(self) -> frozenset[int]:
        """Shards of which messages are in hand."""
        return frozenset(message.shard for message in self._in_hand)

    async def keep_to(self, wanted: Callable[[], frozenset[int]], given_up: frozenset[int] = frozenset()) -> None:
        """Ends the consumers of what is not wanted or was given up, begins those that are missing."""
        for shard in self.shards & given_up | self.shards - wanted():
            await self._end(shard)
        for shard in sorted(wanted() - self.shards):
            if shard in wanted():
                await self._begin(shard)

    async def check(self) -> None:
        """Raises BrokerAway where the broker has ended a consumer: the client forgets it then, and tells nobody."""
        if self._answering.done():
            self._answering.result()
        channel = cast(Channel, await self._channel.get_underlay_channel())
        if any(tag not in channel.consumers for tag in self._tags.values()):
            raise BrokerAway("it has ended the consumer of a queue: the queue was deleted, or its node is going down")

    async def answered(self) -> None:
        """Returns when all that became of messages was sent, or after CONSUMER_CANCEL_S."""
        sent = asyncio.ensure_future(self._answers.join())
        await asyncio.wait({sent, self._answering}, timeout=CONSUMER_CANCEL_S, return_when=asyncio.FIRST_COMPLETED)
        sent.cancel()

    def lose(self) -> None:
        self._answering.cancel()
        for message in self._in_hand:
            message.lose()
        self._in_hand.clear()

    async def _begin(self, shard: int) -> None:
        self._tags[shard] = None
        queue = self._queues[shard] = await self._channel.get_queue(WORK_QUEUES[shard].name, ensure=False)
        self._tags[shard] = await queue.consume(partial(self._arrived, shard), timeout=CONSUMER_CANCEL_S)

    async def _end(self, shard: int) -> None:
        tag = self._tags[shard]
        if tag is not None:
            await self._queues[shard].cancel(tag, timeout=CONSUMER_CANCEL_S)
        del self._tags[shard], self._queues[shard]
        for message in [one for one in self._in_hand if one.shard == shard]:
            message.give_back()

    async def _arrived(self, shard: int, incoming: AbstractIncomingMessage) -> None:
        message = WorkInHand(shard, incoming.body, lambda verdict: self._settled(message, verdict))
        self._in_hand[message] = incoming
        if shard in self._tags:
            self._deliver(message)
        else:
            message.give_back()  # it was on its way when the consumer ended

    def _settled(self, message: WorkInHand, verdict: Verdict) -> None:
        self._answers.put_nowait((self._in_hand.pop(message), verdict))

    async def _answer(self) -> None:
        while True:
            incoming, verdict = await self._answers.get()
            if verdict is Verdict.DONE:
                await incoming.ack()
            else:
                await incoming.reject(requeue=verdict is Verdict.RETURNED)
            self._answers.task_done()
