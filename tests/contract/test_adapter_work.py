"""What holds of adapter work, whether the log itself tells of it or messages do. On real PostgreSQL and RabbitMQ."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from exchange_adapter.workers import LOCK_SPACE
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Phase
from orders.shards import SHARDS
from tests.support.adapter_process import AdapterProcess
from tests.support.logged_exchange import PLACED_FILE
from tests.support.rabbitmq import time_limit
from tests.support.recording_venue import FAILS, HANGS, RecordingVenue
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until
from tests.support.work_transport import LOG, Transport, over_rabbitmq, queues_consumed, shards_owned

TAKEN_OVER_S = 10.0


@pytest.fixture(params=["log", pytest.param("rabbitmq", marks=time_limit(["amqp_url"]))])
def transport(request: pytest.FixtureRequest, database_url: str) -> Iterator[Transport]:
    if request.param == "log":
        yield LOG
        return
    with over_rabbitmq(request.getfixturevalue("amqp_url"), database_url) as transport:
        yield transport


@pytest.fixture
def venue() -> RecordingVenue:
    return RecordingVenue()


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with client_of(database_url, RecordingVenue.capabilities) as client:
        yield client


def acked(order: Order) -> bool:
    return order.delivery is Delivery.ACKED


def test_each_order_is_placed_once(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        transport.wait_until_it_works(database_url)
        order_ids = client.place(200)
        client.wait_for(order_ids, acked)
        transport.check_it_told_of(order_ids, database_url)
    assert venue.submits(order_ids) == [1] * 200


def test_what_was_placed_while_no_adapter_ran_is_placed_when_one_does(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    order_ids = client.place(50)
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        client.wait_for(order_ids, acked)
    assert venue.submits(order_ids) == [1] * 50


def test_what_is_asked_of_an_order_reaches_the_exchange_in_order(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    venue.takes_s = 0.05
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        transport.wait_until_it_works(database_url)
        order_ids = client.place(30, limit_price="1.10000")
        client.wait_for(order_ids, acked)
        for order_id in order_ids:
            client.replace(order_id, quantity=12)
            client.cancel(order_id)
        client.wait_for(order_ids, lambda order: order.phase is Phase.CANCELED)
    assert {tuple(venue.calls[order_id]) for order_id in order_ids} == {("submit", "replace", "cancel")}


def test_a_cancel_while_an_order_is_being_sent_follows_it(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    venue.takes_s = 0.3
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        transport.wait_until_it_works(database_url)
        order_ids = client.place(10, limit_price="1.10000")
        client.wait_for(order_ids, lambda order: order.attempts == 1)
        for order_id in order_ids:
            client.cancel(order_id)
        client.wait_for(order_ids, lambda order: order.phase is Phase.CANCELED)
    assert {tuple(venue.calls[order_id]) for order_id in order_ids} == {("submit", "cancel")}


def test_what_fails_hangs_or_is_parked_holds_up_no_other(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url, park_after_attempts=1):
        transport.wait_until_it_works(database_url)
        stuck = client.place(8, quantity=FAILS) + client.place(8, quantity=HANGS)
        others = client.place(256)
        client.wait_for(others, acked, within_s=5)
        assert not any(acked(client.order(order_id)) for order_id in stuck)
    assert venue.submits(others) == [1] * 256


def test_shards_move_while_orders_flow_and_no_call_is_made_twice(
    transport: Transport, database_url: str, client: Client, venue: RecordingVenue
) -> None:
    venue.takes_s = 0.2
    order_ids: list[UUID] = []
    stop = threading.Event()

    def flow() -> None:
        while not stop.wait(0.02):
            order_ids.extend(client.place(2))

    placing = threading.Thread(target=flow)
    with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
        placing.start()
        try:
            wait_until(lambda: shards_owned(database_url) == [SHARDS])
            with running_adapter(database_url, venue, amqp_url=transport.amqp_url):
                wait_until(lambda: shards_owned(database_url) == [SHARDS // 2] * 2, what="two equal shares")
                before = len(order_ids)
                wait_until(lambda: len(order_ids) > before + 20)
            wait_until(lambda: shards_owned(database_url) == [SHARDS], what="one to own all again")
            transport.wait_until_it_works(database_url)
        finally:
            stop.set()
            placing.join()
        client.wait_for(order_ids, acked)
    assert set(venue.submits(order_ids)) == {1}
    assert {tuple(venue.calls[order_id]) for order_id in order_ids} == {("submit",)}
    assert transport.dead_messages() == []


def test_two_adapters_share_and_one_takes_over_from_the_other_when_it_is_killed(
    transport: Transport, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed_file = tmp_path / "placed"
    monkeypatch.setenv(PLACED_FILE, str(placed_file))
    exchange, settings = "tests.support.logged_exchange:place_order", {"amqp_url": transport.amqp_url}
    with (
        client_of(database_url, Capabilities()) as client,
        AdapterProcess(database_url, exchange, "", tmp_path / "log-1", **settings) as first,
        AdapterProcess(database_url, exchange, "", tmp_path / "log-2", **settings) as second,
    ):
        wait_until(lambda: shards_owned(database_url) == [SHARDS // 2] * 2, what="two equal shares")
        transport.wait_until_it_works(database_url)
        order_ids = client.place(120)
        client.wait_for(order_ids[:1], lambda order: order.attempts > 0)
        first.kill()
        wait_until(lambda: all_taken_over(database_url, transport), within_s=TAKEN_OVER_S, what="all shards taken over")
        order_ids += client.place(20)
        settled = (Delivery.ACKED, Delivery.IN_DOUBT)
        client.wait_for(order_ids, lambda order: order.delivery in settled, within_s=20)
        orders = [client.order(order_id) for order_id in order_ids]
        assert second.stop() == 0
    placed = Counter(placed_file.read_text().split())
    assert max(placed.values()) == 1
    assert all(placed[str(order.id)] == 1 for order in orders if order.delivery is Delivery.ACKED)
    assert all(order.delivery is Delivery.ACKED for order in orders[-20:])


def all_taken_over(database_url: str, transport: Transport) -> bool:
    with psycopg.connect(database_url) as connection:
        held = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = %s::oid and objid < %s and granted"
            " and objsubid = 2 and database = (select oid from pg_database where datname = current_database())",
            (LOCK_SPACE, SHARDS),
        ).fetchone()
    return held == (SHARDS,) and (not transport.amqp_url or SHARDS in queues_consumed(database_url))
