"""The supervised connection to RabbitMQ, as far as it needs no broker. The rest is in tests/integration/."""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aio_pika.exceptions import AMQPError, DeliveryError, ProbableAuthenticationError
from aiormq import spec
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed, ConnectionNotAllowed, PublishError

from orders.broker.bounds import CONNECT_TIMEOUT_S
from orders.broker.errors import BrokerAway, BrokerError, BrokerRefuses, NotConfirmed, Unroutable
from orders.broker.link import Outgoing, Session, as_broker_error, keep_connected

RETURNED: Any = SimpleNamespace(delivery=spec.Basic.Return(312, "NO_ROUTE"))


async def nothing(session: Session) -> None:
    raise AssertionError("there is no session")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ProbableAuthenticationError("ACCESS_REFUSED - login refused"), BrokerRefuses, "user or the password"),
        (ConnectionNotAllowed("NOT_ALLOWED - vhost x not found"), BrokerRefuses, "vhost x not found"),
        (Exception("expected", spec.Connection.Close(530, "vhost x not found")), BrokerRefuses, "vhost x not found"),
        (ChannelAccessRefused("ACCESS_REFUSED - configure access"), BrokerRefuses, "lacks a right"),
        (ChannelPreconditionFailed("inequivalent arg"), BrokerRefuses, "inequivalent arg"),
        (PublishError(RETURNED, spec.Basic.Return()), Unroutable, "no queue"),
        (DeliveryError(None, spec.Basic.Nack()), NotConfirmed, "is full"),
        (ConnectionRefusedError(111, "Connection refused"), BrokerAway, "111 Connection refused"),
        (AMQPError(), BrokerAway, "AMQPError"),
    ],
)
def test_each_error_of_the_client_says_in_a_line_what_is_wrong(
    error: BaseException, kind: type[BrokerError], words: str
) -> None:
    told = as_broker_error(error)
    assert type(told) is kind
    assert words in str(told)
    assert "\n" not in str(told)


def test_a_broker_that_is_away_is_tried_again_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "orders")

    async def lasting() -> None:
        stop, tries = asyncio.Event(), asyncio.Semaphore(0)

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tries.release()
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            url = f"amqp://someone:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            connecting = asyncio.ensure_future(keep_connected(url, "a test", stop, prepare=nothing, work=nothing))
            for _ in range(3):
                await asyncio.wait_for(tries.acquire(), 5.0)
            stop.set()
            await asyncio.wait_for(connecting, 5.0)

    asyncio.run(lasting())
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("orders.broker")]
    assert len(lines) == 1
    assert "RabbitMQ is away" in lines[0]
    assert "secret" not in caplog.text


def test_it_stops_at_once_while_a_broker_that_is_frozen_does_not_answer() -> None:
    async def lasting() -> float:
        stop, silent = asyncio.Event(), asyncio.Event()

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            silent.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
            url = f"amqp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            connecting = asyncio.ensure_future(keep_connected(url, "a test", stop, prepare=nothing, work=nothing))
            await asyncio.wait_for(silent.wait(), 5.0)
            began_at = time.monotonic()
            stop.set()
            await asyncio.wait_for(connecting, 5.0)
            return time.monotonic() - began_at

    assert asyncio.run(lasting()) < CONNECT_TIMEOUT_S / 2


def test_of_several_refusals_the_one_that_needs_most_is_told() -> None:
    """A full queue may be counted as told where all else has arrived, so it must not hide that something has not."""
    refusals = {
        "1": DeliveryError(None, spec.Basic.Nack()),
        "2": PublishError(RETURNED, spec.Basic.Return()),
        "3": None,
    }

    class Exchange:
        async def publish(self, message: object, routing_key: str, *, mandatory: bool) -> None:
            if (refusal := refusals[routing_key]) is not None:
                raise refusal

    async def ready() -> None: ...

    async def exchange(name: str, *, ensure: bool) -> Exchange:
        return Exchange()

    async def publish() -> None:
        connection: Any = SimpleNamespace(close_callbacks=set(), transport=SimpleNamespace(ready=ready))
        channel: Any = SimpleNamespace(close_callbacks=set(), get_exchange=exchange)
        session = Session(connection, channel, cast(Any, None))
        await session.publish("orders.work", [Outgoing(routing_key=key, body=b"", message_id=key) for key in refusals])

    with pytest.raises(Unroutable):
        asyncio.run(publish())
