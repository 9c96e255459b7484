"""The supervised connection over a real RabbitMQ."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from aio_pika.exceptions import AMQPError

from orders.broker.errors import BrokerAway, BrokerBlocked, BrokerError, BrokerRefuses, Unroutable
from orders.broker.link import Outgoing, Session, as_broker_error, declare_work, keep_connected, open_session
from orders.broker.topology import DEAD_QUEUE, WORK_EXCHANGE, WORK_QUEUES, Hint, WorkMessage, decode_work, encode_work
from tests.support.rabbitmq import Rabbit
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

HINTS = WorkMessage(1, (Hint(UUID(int=5), 41),))
BACK_S = 30.0  # the promise; some 2 s are usual


def work(shard: int = 5, body: bytes = encode_work(HINTS)) -> Outgoing:
    return Outgoing(routing_key=str(shard), body=body, message_id=f"{shard}:41-41")


@asynccontextmanager
async def session(url: str, prepare: Callable[[Session], Awaitable[None]] = declare_work) -> AsyncIterator[Session]:
    opened = await open_session(url, "a test")
    try:
        await prepare(opened)
        yield opened
    finally:
        await opened.close()


async def refusal(url: str) -> BrokerError:
    try:
        async with session(url):
            raise AssertionError("it was not refused")
    except (BrokerError, AMQPError) as error:
        return as_broker_error(error)


class Kept:
    """A connection that is kept, and the sessions that it had."""

    def __init__(self, url: str) -> None:
        self.sessions: list[Session] = []
        self.stop = asyncio.Event()
        self.task = asyncio.ensure_future(
            keep_connected(url, "a test", self.stop, prepare=declare_work, work=self.work)
        )

    async def work(self, session: Session) -> None:
        self.sessions.append(session)
        await self.stop.wait()

    async def session(self, number: int) -> Session:
        async def there() -> bool:
            return len(self.sessions) >= number

        await wait_until_async(there, within_s=BACK_S, what=f"session {number}")
        return self.sessions[number - 1]

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 3.0)


async def test_work_waits_in_its_shards_queue_as_it_was_published_and_survives_there(module_amqp_url: str) -> None:
    async with session(module_amqp_url) as opened:
        await declare_work(opened)  # again: nothing changes
        await opened.publish(WORK_EXCHANGE, [work(), work(6)])
        queue = await opened.channel.get_queue(WORK_QUEUES[5].name)
        message = await queue.get()
        assert decode_work(message.body) == HINTS
        assert (message.message_id, message.content_type) == ("5:41-41", "application/json")
        assert message.delivery_mode is not None
        assert message.delivery_mode.name == "PERSISTENT"
        await message.ack()


async def test_what_a_consumer_rejects_is_a_dead_letter_and_what_it_gives_back_is_not(module_amqp_url: str) -> None:
    async with session(module_amqp_url) as opened:
        await opened.publish(WORK_EXCHANGE, [work(7, b"poison")])
        queue = await opened.channel.get_queue(WORK_QUEUES[7].name)
        for _ in range(25):  # RabbitMQ 4 gives up after 20 where a queue has no limit of its own
            await (await queue.get()).reject(requeue=True)
        await (await queue.get()).reject(requeue=False)
        dead = await opened.channel.get_queue(DEAD_QUEUE)
        buried = await wait_until_async(lambda: dead.get(fail=False), what="the dead letter")
        assert buried is not None
        assert buried.body == b"poison"
        await buried.ack()


async def test_a_message_without_a_queue_is_refused_and_the_session_goes_on(module_amqp_url: str) -> None:
    async with session(module_amqp_url) as opened:
        await opened.channel.queue_delete(WORK_QUEUES[9].name)
        with pytest.raises(Unroutable):
            await opened.publish(WORK_EXCHANGE, [work(9), work(6)])
        await opened.publish(WORK_EXCHANGE, [work(9)], routed=False)
        await opened.publish(WORK_EXCHANGE, [work(6)])


async def test_work_goes_over_tls_to_a_broker_whose_certificate_is_known(rabbit: Rabbit, module_amqp_url: str) -> None:
    vhost = module_amqp_url.rpartition("/")[2]
    async with session(rabbit.url(vhost, tls=True)) as opened:
        await opened.publish(WORK_EXCHANGE, [work()])
    unknown = rabbit.url(vhost, tls=True).partition("?")[0]
    assert isinstance(await refusal(unknown), BrokerAway)


async def test_a_refusal_says_in_a_line_what_is_wrong(rabbit: Rabbit, module_amqp_url: str, module_vhost: str) -> None:
    vhost = module_vhost
    rabbit.add_user("reader", "secret")
    wrong_password = await refusal(rabbit.url(vhost, password="wrong"))
    no_vhost = await refusal(rabbit.url("nowhere"))
    no_entry = await refusal(rabbit.url(vhost, user="reader", password="secret"))
    rabbit.permit(vhost, "reader", configure="^$")
    no_right = await refusal(rabbit.url(vhost, user="reader", password="secret"))
    for refused, words in [
        (wrong_password, "refuses the user or the password"),
        (no_vhost, "vhost nowhere not found"),
        (no_entry, "refused"),
        (no_right, "lacks a right"),
    ]:
        assert isinstance(refused, BrokerRefuses)
        assert words in str(refused)
        assert "secret" not in str(refused)
    ours = r"^orders\."
    rabbit.permit(vhost, "reader", configure=ours, write=ours, read=ours)
    async with session(rabbit.url(vhost, user="reader", password="secret")) as opened:
        await opened.publish(WORK_EXCHANGE, [work()])


async def test_a_queue_that_was_declared_otherwise_is_named(amqp_url: str) -> None:
    async def otherwise(opened: Session) -> None:
        await opened.channel.declare_queue(WORK_QUEUES[5].name, durable=True)

    async with session(amqp_url, otherwise):
        pass
    refused = await refusal(amqp_url)
    assert isinstance(refused, BrokerRefuses)
    assert WORK_QUEUES[5].name in str(refused)


async def test_it_is_back_by_itself_after_a_kill_a_frozen_broker_and_one_that_is_low_on_memory(
    fragile_rabbit: Rabbit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "orders")
    vhost = fragile_rabbit.add_vhost()
    kept = Kept(fragile_rabbit.url(vhost))
    confirmed = await killed(fragile_rabbit, await kept.session(1))
    began_at = time.monotonic()
    second = await kept.session(2)
    assert time.monotonic() - began_at < BACK_S
    lines = [record.levelname for record in caplog.records if record.name.startswith("orders.broker")]
    assert lines == ["WARNING", "INFO"], "one when it went, one at its return"

    async def all_there() -> bool:
        queue = await second.channel.declare_queue(WORK_QUEUES[5].name, passive=True)
        return (queue.declaration_result.message_count or 0) >= confirmed

    await wait_until_async(all_there, what=f"the {confirmed} confirmed messages")
    await frozen(fragile_rabbit, second)
    await blocked(fragile_rabbit, await kept.session(3))
    await kept.end()
    assert not kept.sessions[3:], "a broker that is low on memory keeps its connections"
    fragile_rabbit.remove_vhost(vhost)


async def killed(rabbit: Rabbit, session: Session) -> int:
    """In the middle of publishing, and started again; how many messages were confirmed."""
    confirmed = 0
    killing = asyncio.ensure_future(asyncio.to_thread(rabbit.kill))
    try:
        while True:
            await session.publish(WORK_EXCHANGE, [work() for _ in range(20)])
            confirmed += 20
    except BrokerAway:
        await killing
    await asyncio.to_thread(rabbit.start)
    return confirmed


async def frozen(rabbit: Rabbit, session: Session) -> None:
    """A publish ends within its bound, and the connection with it."""
    await asyncio.to_thread(rabbit.freeze)
    began_at = time.monotonic()
    with pytest.raises(BrokerAway, match="not confirmed"):
        await session.publish(WORK_EXCHANGE, [work()], timeout_s=0.3)
    assert time.monotonic() - began_at < 1.0
    assert session.lost.done()
    await asyncio.to_thread(rabbit.thaw)


async def blocked(rabbit: Rabbit, session: Session) -> None:
    """Low on memory it takes nothing, says so, and goes on over the same connection."""
    await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "absolute", "1")
    for _ in range(2):
        with pytest.raises(BrokerBlocked, match="low on memory"):
            await session.publish(WORK_EXCHANGE, [work()], timeout_s=0.5)
    await asyncio.to_thread(rabbit.control, "set_vm_memory_high_watermark", "0.4")
    await session.publish(WORK_EXCHANGE, [work()])
