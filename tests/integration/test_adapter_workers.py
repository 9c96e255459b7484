"""Three adapter processes share the orders of one venue while they come, are killed, freeze and wake up."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from exchange_adapter.bounds import FROZEN_AFTER_BEATS, OWNERSHIP_POLL_S, STOP_WAIT_S
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.workers import LOCK_SPACE
from orders.domain.values import Capabilities, Delivery
from orders.shards import SHARDS
from tests.support.adapter_process import AdapterProcess
from tests.support.logged_exchange import PLACED_FILE
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until

EXCHANGE = "tests.support.logged_exchange:place_order"
SETTLED = (Delivery.ACKED, Delivery.IN_DOUBT)


def shares(database_url: str) -> list[int]:
    """How many shards each connection has locked."""
    with psycopg.connect(database_url) as connection:
        counted = connection.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and classid = %s::bigint::oid and objid < %s"
            " and granted group by pid order by 1",
            (LOCK_SPACE, SHARDS),
        )
        return [count for (count,) in counted]


def worker_of(database_url: str, process: AdapterProcess) -> str:
    with psycopg.connect(database_url) as connection:
        workers = [str(worker) for (worker,) in connection.execute("select worker from adapter_workers")]
    return next(worker for worker in workers if f"/{process.pid}/" in worker)


@contextmanager
def orders_flowing(client: Client) -> Iterator[list[UUID]]:
    """Some thirty a second."""
    order_ids: list[UUID] = []
    stop = threading.Event()

    def flow() -> None:
        while not stop.wait(0.1):
            order_ids.extend(client.place(3))

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield order_ids
    finally:
        stop.set()
        thread.join(10)


def test_adapters_that_come_die_freeze_and_wake_share_the_orders_and_none_is_placed_twice(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed_file = tmp_path / "placed"
    monkeypatch.setenv(PLACED_FILE, str(placed_file))
    first, killed, third = (AdapterProcess(database_url, EXCHANGE, "", tmp_path / f"log-{n}") for n in range(3))
    with client_of(database_url, Capabilities()) as client, first, orders_flowing(client) as order_ids:
        wait_until(lambda: shares(database_url) == [64])
        with killed, third:
            wait_until(lambda: shares(database_url) == [21, 21, 22], what="three shares")
            workers = [worker_of(database_url, process) for process in (first, killed, third)]
            handed_over = list(order_ids)
            client.wait_for(handed_over, lambda order: order.delivery is Delivery.ACKED)
            assert not any("SubmitInDoubt" in client.history(order_id) for order_id in handed_over)
            assert len({client.order(order_id).worker for order_id in handed_over}) > 1

            killed.kill()
            wait_until(lambda: shares(database_url) == [32, 32], within_s=5, what="the killed one's share")
            os.kill(first.pid, signal.SIGSTOP)  # it is also the one that follows the log for all
            frozen_for_s = FROZEN_AFTER_BEATS * OWNERSHIP_POLL_S
            wait_until(lambda: shares(database_url) == [64], within_s=frozen_for_s + 10, what="the frozen one's share")
            meanwhile = client.place(10)
            client.wait_for(meanwhile, lambda order: order.delivery is Delivery.ACKED, within_s=20)
            assert {client.order(order_id).worker for order_id in meanwhile} == {workers[2]}

            os.kill(first.pid, signal.SIGCONT)
            wait_until(lambda: shares(database_url) == [32, 32], what="the woken one's share")
            client.wait_for(list(order_ids), lambda order: order.delivery in SETTLED, within_s=20)
            orders = [client.order(order_id) for order_id in order_ids]
    placed = Counter(placed_file.read_text().split())
    assert max(placed.values()) == 1
    assert all(placed[str(order.id)] == 1 for order in orders if order.delivery is Delivery.ACKED)
    doubtful = {order.worker for order in orders if order.delivery is Delivery.IN_DOUBT}
    assert doubtful <= {workers[0], workers[1]}, "only what was being called when its worker died or froze"


def test_an_adapter_that_stops_hands_over_at_once_what_it_does_not_work_on(database_url: str) -> None:
    release, called = threading.Event(), threading.Event()

    def hang(order: object) -> None:
        called.set()
        release.wait(20)

    with client_of(database_url, Capabilities()) as client, ExitStack() as hanging:
        hanging.enter_context(running_adapter(database_url, PlaceOrderVenue(hang)))
        (running,) = client.place()
        assert called.wait(10)
        with running_adapter(database_url, PlaceOrderVenue(lambda order: None)):
            wait_until(lambda: shares(database_url) == [32, 32], what="two shares")
            stopping = threading.Thread(target=hanging.close)
            stopping.start()
            try:
                wait_until(lambda: shares(database_url) == [1, 63], within_s=STOP_WAIT_S - 1, what="all but one shard")
                assert client.order(running).delivery is Delivery.SENDING
            finally:
                release.set()
                stopping.join(20)
            client.wait_for([running], lambda order: order.delivery is Delivery.ACKED)
