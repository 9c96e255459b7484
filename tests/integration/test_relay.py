"""The relay between a real PostgreSQL and a real RabbitMQ."""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

from event_relay import EVENTS_FOLLOWER, WORK_FOLLOWER
from event_relay.integration_events import EVENTS_EXCHANGE
from event_relay.relay import RelayConfig, run_relay
from orders.broker.link import Outgoing, open_session
from orders.broker.topology import WORK_QUEUES, Hint, decode_work
from orders.domain.events import OrderExecuted
from orders.domain.instruments import BUILT_IN
from orders.domain.values import OrderView, OrdStatus, Status
from orders.eventstore.port import Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from orders.shards import shard_of
from tests.support.child_process import ChildProcess
from tests.support.log_events import AT, unit
from tests.support.postgres import value
from tests.support.projector_process import RelayProcess
from tests.support.rabbitmq import Rabbit
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

STOP_S = 6.0  # a quarter of a second, and much for a busy machine
BACK_S = 30.0
CONSUMER = Path(__file__).resolve().parents[2] / "examples/event_consumer.py"


class Relay:
    """One that runs in this process."""

    def __init__(self, database_url: str, amqp_url: str, *, integration_events: bool = False) -> None:
        self._store = PostgresEventStore(database_url)
        self._hints = PostgresHints(database_url)
        self._stop = Event()
        config = RelayConfig(
            amqp_url=amqp_url, direct_url=database_url, catalogue=BUILT_IN, integration_events=integration_events
        )
        self._thread = Thread(
            target=run_relay, args=(config,), kwargs={"store": self._store, "hints": self._hints, "stop": self._stop}
        )
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(STOP_S)
        assert not self._thread.is_alive()
        self._hints.close()
        self._store.close()


@contextmanager
def relay(database_url: str, amqp_url: str, *, integration_events: bool = False) -> Iterator[Relay]:
    running = Relay(database_url, amqp_url, integration_events=integration_events)
    try:
        yield running
    finally:
        running.stop()


def published(database_url: str, follower: str = WORK_FOLLOWER) -> int:
    """Up to which position RabbitMQ has confirmed."""
    found = value(database_url, f"select coalesce(max(position), 0) from follower_checkpoint where name = '{follower}'")
    assert isinstance(found, int)
    return found


def taken(amqp_url: str, queue: str) -> list[bytes]:
    """What waits in a queue, which is empty then."""

    async def take() -> list[bytes]:
        session = await open_session(amqp_url, "a test")
        try:
            found = await session.channel.get_queue(queue)
            bodies = []
            while (message := await found.get(fail=False)) is not None:
                bodies.append(message.body)
                await message.ack()
            return bodies
        finally:
            await session.close()

    return asyncio.run(take())


def hints(amqp_url: str, order_id: UUID) -> list[Hint]:
    """Those of the order's shard that wait."""
    bodies = taken(amqp_url, WORK_QUEUES[shard_of(order_id)].name)
    return [hint for body in bodies for hint in decode_work(body).hints]


def fill(order_id: UUID, version: int, filled: int, *, quantity: int = 10) -> Unit:
    """The order's next fill, after which it has so much."""
    done = filled == quantity
    after = OrderView(
        account="local",
        symbol="EURUSD",
        quantity=quantity,
        filled_quantity=filled,
        average_price=Decimal("1.1"),
        status=Status.EXECUTED if done else Status.PLACED,
        ord_status=OrdStatus.FILLED if done else OrdStatus.PARTIALLY_FILLED,
    )
    event = OrderExecuted(
        event_id=uuid4(), at=AT, by="venue", after=after, exec_id=f"F-{version}", quantity=1, price=Decimal("1.1")
    )
    return Unit(order_id, version - 1, (event,))


def test_each_new_order_is_told_to_its_shard_and_integration_events_stay_off(
    database_url: str, module_amqp_url: str, rabbit: Rabbit, module_vhost: str
) -> None:
    store = PostgresEventStore(database_url)
    early, late = uuid4(), uuid4()
    store.append([unit(early)])
    with relay(database_url, module_amqp_url):
        wait_until(lambda: published(database_url) == 1, what="the order of before")
        store.append([unit(late), fill(early, 2, 5)])
        wait_until(lambda: published(database_url) == 3, what="what came meanwhile")
    found = {hint.order_id: hint.position for order in (early, late) for hint in hints(module_amqp_url, order)}
    assert found == {early: 1, late: 2}
    assert EVENTS_EXCHANGE not in [one["name"] for one in rabbit.get(f"/exchanges/{module_vhost}")]
    store.close()


def test_a_second_relay_takes_over_where_the_first_stopped_and_publishes_nothing_twice(
    database_url: str, module_amqp_url: str
) -> None:
    store = PostgresEventStore(database_url)
    order_ids = [uuid4() for _ in range(3)]
    with relay(database_url, module_amqp_url) as first, relay(database_url, module_amqp_url):
        store.append([unit(order_ids[0])])
        wait_until(lambda: published(database_url) == 1, what="the first relay")
        first.stop()
        store.append([unit(order_ids[1]), unit(order_ids[2])])
        wait_until(lambda: published(database_url) == 3, what="the second relay")
    shards = {shard_of(order_id): order_id for order_id in order_ids}
    waiting = sorted(hint.position for order_id in shards.values() for hint in hints(module_amqp_url, order_id))
    assert waiting == [1, 2, 3]
    store.close()


def test_a_relay_starts_and_stops_while_its_broker_is_away_and_the_log_does_not_notice(
    database_url: str, tmp_path: Path
) -> None:
    url = f"amqp://someone:secret@127.0.0.1:{free_port()}/"
    process = RelayProcess(database_url, tmp_path / "log", AMQP_URL=url)
    process.start()
    try:
        process.wait_ready()
        store = PostgresEventStore(database_url)
        store.append([unit()])
        store.close()
        wait_until(lambda: "RabbitMQ is away" in (tmp_path / "log").read_text(), what="the line")
        began_at = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began_at < STOP_S
    finally:
        process.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert sum("is away" in line for line in lines) == 1
    assert "secret" not in "".join(lines)
    assert published(database_url) == 0


class Consumer(ChildProcess):
    """The example, with its file."""

    def __init__(self, amqp_url: str, folder: Path) -> None:
        self.file = folder / "filled.db"
        command = [sys.executable, str(CONSUMER), amqp_url, str(self.file)]
        super().__init__(command, folder / "consumer", ready="waiting for events")

    def filled(self) -> dict[str, tuple[int, int]]:
        """Of each order the version and the filled quantity."""
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as database:
            rows = database.execute("select order_id, version, quantity from filled").fetchall()
        return {order_id: (version, quantity) for order_id, version, quantity in rows}


def test_other_services_miss_nothing_and_go_back_to_nothing_old_whoever_is_killed(
    database_url: str, fragile_rabbit: Rabbit, tmp_path: Path
) -> None:
    vhost = fragile_rabbit.add_vhost()
    amqp_url = fragile_rabbit.url(vhost)
    store = PostgresEventStore(database_url)
    order_ids = [uuid4() for _ in range(20)]
    process = RelayProcess(database_url, tmp_path / "log", AMQP_URL=amqp_url, INTEGRATION_EVENTS="on")
    with Consumer(amqp_url, tmp_path) as consumer:
        process.start()
        try:
            store.append([unit(order_id) for order_id in order_ids])
            store.append([fill(order_id, 2, 4) for order_id in order_ids])
            goal = dict.fromkeys(map(str, order_ids), (2, 4))
            wait_until(lambda: consumer.filled() == goal, within_s=BACK_S, what="the first fills")
            fragile_rabbit.kill()
            process.kill()
            process.start()
            store.append([fill(order_id, 3, 10) for order_id in order_ids])
            consumer.kill()
            fragile_rabbit.start()
            consumer.start()
            goal = dict.fromkeys(map(str, order_ids), (3, 10))
            wait_until(lambda: consumer.filled() == goal, within_s=BACK_S, what="the fills after the kills")
            wait_until(lambda: published(database_url, EVENTS_FOLLOWER) == 60, what="the checkpoint")
            assert process.stop() == 0
        finally:
            process.close()
        again = _event(order_ids[0], version=2, filled=4)
        _publish(amqp_url, again, _unreadable())
        dead: list[bytes] = wait_until(lambda: taken(amqp_url, "filled.unreadable"), what="the unreadable one")
        assert dead == [b"{}"]
        assert consumer.filled() == goal, "what is not newer changes nothing"
    store.close()
    fragile_rabbit.remove_vhost(vhost)


def _event(order_id: UUID, *, version: int, filled: int) -> Outgoing:
    data: dict[str, Any] = {"order_id": str(order_id), "version": version, "symbol": "EURUSD", "side": "buy"}
    body = json.dumps({**data, "filled_quantity": filled, "average_price": "1.1"}).encode()
    return _outgoing("order-service.OrderExecuted.v1", body)


def _unreadable() -> Outgoing:
    return _outgoing("order-service.OrderExecuted.v1", b"{}")


def _outgoing(kind: str, body: bytes) -> Outgoing:
    headers = {"cloudEvents_type": kind}
    return Outgoing(routing_key="OrderExecuted.EURUSD.local", body=body, message_id=str(uuid4()), headers=headers)


def _publish(amqp_url: str, *messages: Outgoing) -> None:
    async def publish() -> None:
        session = await open_session(amqp_url, "a test")
        await session.publish(EVENTS_EXCHANGE, messages)
        await session.close()

    asyncio.run(publish())
