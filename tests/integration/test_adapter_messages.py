"""Adapter work by messages of a real RabbitMQ: what is sent twice, cannot be read, or was lost with its queue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aio_pika.abc import AbstractChannel

from exchange_adapter.work import feeder
from orders.broker.topology import WORK_EXCHANGE
from orders.domain.order import Order
from orders.domain.values import Delivery
from orders.shards import shard_of
from tests.support.rabbitmq import Rabbit
from tests.support.recording_venue import RecordingVenue
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until
from tests.support.work_transport import Transport, hints_taken, over_rabbitmq, undecodable_messages

STOP_S = 7.0  # for calls 5 s, for the rest 2 s
QUICK_SWEEP_S = 1.0  # instead of 5, so that the test is not long
OFTEN = 25  # RabbitMQ 4 makes a dead letter of what was returned 20 times, unless it is told otherwise


@pytest.fixture
def transport(amqp_url: str, database_url: str) -> Iterator[Transport]:
    with over_rabbitmq(amqp_url, database_url) as transport:
        yield transport


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with client_of(database_url, RecordingVenue.capabilities) as client:
        yield client


@contextmanager
def working(database_url: str, venue: RecordingVenue, transport: Transport) -> Iterator[None]:
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        transport.wait_until_it_works(database_url)
        yield


def acked(order: Order) -> bool:
    return order.delivery is Delivery.ACKED


def test_messages_that_come_again_and_again_lead_to_no_second_call(
    transport: Transport, database_url: str, client: Client
) -> None:
    venue = RecordingVenue(takes_s=0.3)
    with working(database_url, venue, transport):
        order_ids = client.place(20)
        wait_until(lambda: venue.submits(order_ids) == [1] * 20, what="the calls to begin")
        transport.send(*order_ids)
        client.wait_for(order_ids, acked)
        transport.send(*order_ids)
        wait_until(lambda: hints_taken(database_url) >= 60, what="all messages to be taken")
    assert venue.submits(order_ids) == [1] * 20


def test_only_what_is_no_work_message_becomes_a_dead_letter(
    transport: Transport, database_url: str, client: Client
) -> None:
    venue = RecordingVenue()
    with working(database_url, venue, transport):
        for body in (b"poison", b'{"v":1}', b""):
            transport.send_bytes(7, body)
        order_ids = client.place(64)
        client.wait_for(order_ids, acked)
        wait_until(lambda: undecodable_messages(database_url) == 3, what="them to be counted")
        assert sorted(transport.dead_messages()) == [b"", b"poison", b'{"v":1}']
        assert undecodable_messages(database_url) == 3


def test_a_message_that_was_returned_often_is_still_delivered(
    transport: Transport, database_url: str, client: Client
) -> None:
    (order_id,) = client.place()

    async def return_it_often(channel: AbstractChannel) -> None:
        queue = await channel.get_queue(f"{WORK_EXCHANGE}.{shard_of(order_id)}", ensure=False)
        returned = 0
        while returned < OFTEN:
            if (message := await queue.get(fail=False)) is not None:
                await message.reject(requeue=True)
                returned += 1

    transport.wait_until_declared()
    transport.over_a_channel(return_it_often)
    venue = RecordingVenue()
    with working(database_url, venue, transport):
        client.wait_for([order_id], acked)
        wait_until(lambda: hints_taken(database_url) == 1, what="the message")
    assert transport.dead_messages() == []


def test_it_comes_back_by_itself_when_its_queues_are_deleted_or_its_connection_is_closed(
    rabbit: Rabbit, transport: Transport, database_url: str, client: Client
) -> None:
    venue = RecordingVenue()
    with working(database_url, venue, transport):
        for shard in (3, 4):
            transport.delete_queue(shard)
        wait_until(lambda: [transport.consumers(shard) for shard in (3, 4)] == [1, 1], what="the queues' return")
        transport.wait_until_it_works(database_url)
        first = client.place(64)
        client.wait_for(first, acked)
        transport.check_it_told_of(first, database_url)
        vhost = transport.amqp_url.rpartition("/")[2]
        rabbit.control("close_all_connections", "--vhost", vhost, "for a test")
        second = client.place(64)
        client.wait_for(second, acked)
        transport.wait_until_it_works(database_url)
    assert venue.submits([*first, *second]) == [1] * 128


def test_a_broker_that_hangs_delays_orders_by_two_sweeps_at_most_and_holds_up_no_stop(
    fragile_rabbit: Rabbit, database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "SWEEP_S", QUICK_SWEEP_S)
    venue = RecordingVenue()
    amqp_url = fragile_rabbit.url(fragile_rabbit.add_vhost())
    with over_rabbitmq(amqp_url, database_url) as transport:
        with working(database_url, venue, transport):
            fragile_rabbit.freeze()
            order_ids = client.place(64)
            client.wait_for(order_ids, acked, within_s=2 * QUICK_SWEEP_S + 3)
            stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < STOP_S
        fragile_rabbit.thaw()
        with working(database_url, venue, transport):
            wait_until(lambda: hints_taken(database_url) > 0, what="the messages of then")
            assert venue.submits(order_ids) == [1] * 64
