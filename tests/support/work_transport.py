"""How adapters are told of work: by the log alone, or by messages of a real RabbitMQ with a relay that sends them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

import aio_pika
import psycopg
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelClosed

from event_relay.relay import RelayConfig, run_relay
from orders.broker.topology import DEAD_QUEUE, WORK_EXCHANGE, WORK_VERSION, Hint, WorkMessage, encode_work
from orders.domain.instruments import BUILT_IN
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from orders.shards import SHARDS, shard_of
from tests.support.waiting import wait_until

T = TypeVar("T")


class Transport:
    """`amqp_url` is empty where the log alone tells of work."""

    def __init__(self, amqp_url: str) -> None:
        self.amqp_url = amqp_url

    def wait_until_it_works(self, database_url: str) -> None:
        """Every shard has an owner and, where there are messages, its queue a consumer."""
        wait_until(lambda: sum(shards_owned(database_url)) == SHARDS, what="owners of all shards")
        if self.amqp_url:
            wait_until(lambda: sum(queues_consumed(database_url)) == SHARDS, within_s=30, what="all queues consumed")

    def wait_until_declared(self) -> None:
        """The relay has declared all queues."""

        wait_until(lambda: self.consumers(SHARDS - 1) is not None, within_s=30, what="the queues")

    def consumers(self, shard: int) -> int | None:
        """Of the shard's queue; None where there is no queue."""

        async def count(channel: AbstractChannel) -> int | None:
            try:
                queue = await channel.declare_queue(f"{WORK_EXCHANGE}.{shard}", passive=True)
            except ChannelClosed:
                return None
            return queue.declaration_result.consumer_count

        return self.over_a_channel(count)

    def check_it_told_of(self, order_ids: Collection[UUID], database_url: str) -> None:
        if self.amqp_url:
            wait_until(lambda: hints_taken(database_url) >= len(order_ids), what="a message for each order")

    def dead_messages(self) -> list[bytes]:
        """They stay in their queue."""
        return self.over_a_channel(_dead_messages) if self.amqp_url else []

    def send(self, *order_ids: UUID) -> None:
        """A message for each, as the relay sends it."""

        async def publish(channel: AbstractChannel) -> None:
            for order_id in order_ids:
                body = encode_work(WorkMessage(WORK_VERSION, (Hint(order_id, 1),)))
                await _publish(channel, shard_of(order_id), body)

        self.over_a_channel(publish)

    def send_bytes(self, shard: int, body: bytes) -> None:
        self.over_a_channel(lambda channel: _publish(channel, shard, body))

    def delete_queue(self, shard: int) -> None:
        async def delete(channel: AbstractChannel) -> None:
            await channel.queue_delete(f"{WORK_EXCHANGE}.{shard}")

        self.over_a_channel(delete)

    def over_a_channel(self, do: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        async def done() -> T:
            async with await aio_pika.connect(self.amqp_url) as connection, connection.channel() as channel:
                return await do(channel)

        return asyncio.run(done())


LOG = Transport("")


@contextmanager
def over_rabbitmq(amqp_url: str, database_url: str) -> Iterator[Transport]:
    """With a relay, in a thread, that publishes the log of the database."""
    stop = threading.Event()
    store = PostgresEventStore(database_url, application_name="test relay")
    hints = PostgresHints(database_url)
    config = RelayConfig(amqp_url=amqp_url, direct_url=database_url, catalogue=BUILT_IN)
    relay = threading.Thread(target=run_relay, args=(config,), kwargs={"store": store, "hints": hints, "stop": stop})
    relay.start()
    try:
        yield Transport(amqp_url)
    finally:
        stop.set()
        relay.join(10)
        hints.close()
        store.close()
        assert not relay.is_alive(), "the relay did not stop"


def shards_owned(database_url: str) -> list[int]:
    """By each adapter on the list, the most first."""
    return sorted((len(shards) for (shards,) in _workers(database_url, "shards")), reverse=True)


def queues_consumed(database_url: str) -> list[int]:
    """By each adapter on the list."""
    return [queues or 0 for (queues,) in _workers(database_url, "(figures #>> '{messages,queues}')::int")]


def hints_taken(database_url: str) -> int:
    return sum(hints or 0 for (hints,) in _workers(database_url, "(figures #>> '{messages,hints}')::int"))


def undecodable_messages(database_url: str) -> int:
    return sum(count or 0 for (count,) in _workers(database_url, "(figures #>> '{messages,undecodable}')::int"))


def _workers(database_url: str, column: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(f"select {column} from adapter_workers".encode()).fetchall()


async def _publish(channel: AbstractChannel, shard: int, body: bytes) -> None:
    exchange = await channel.get_exchange(WORK_EXCHANGE, ensure=False)
    await exchange.publish(aio_pika.Message(body), str(shard))


async def _dead_messages(channel: AbstractChannel) -> list[bytes]:
    queue = await channel.get_queue(DEAD_QUEUE, ensure=False)
    bodies = []
    while (message := await queue.get(fail=False)) is not None:
        bodies.append(message.body)
    return bodies
