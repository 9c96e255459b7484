"""What `orders doctor` finds of a real RabbitMQ."""

from pathlib import Path

import pytest

from order_service.cli.broker_check import check_broker
from order_service.configuration.settings import Settings, load_settings
from tests.support.rabbitmq import Rabbit
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

SECRET = "geheim-4711"


def settings(folder: Path, url: str = "") -> Settings:
    return load_settings({"ORDERS_DATA_DIR": str(folder), "AMQP_URL": url}, folder / "no.env")


def test_without_a_broker_none_is_missed(tmp_path: Path) -> None:
    (found,) = check_broker(settings(tmp_path))
    assert found.state == "well"


def test_a_broker_is_looked_at_and_nothing_is_left_in_it(tmp_path: Path, rabbit: Rabbit, amqp_url: str) -> None:
    vhost = amqp_url.rpartition("/")[2]
    (found,) = check_broker(settings(tmp_path, amqp_url))
    assert found.state == "well"
    assert "makes its queues" in found.found
    wait_until(lambda: rabbit.get(f"/queues/{vhost}") == [], what="the queue of the look to go")


@pytest.mark.parametrize(
    ("user", "vhost", "state", "words"),
    [
        ("guest:wrong", None, "wrong", "the user or the password"),
        ("guest:guest", "nowhere", "wrong", "vhost nowhere not found"),
        (None, None, "unreachable", "no answer at 127.0.0.1:"),
    ],
)
def test_what_is_wrong_with_the_broker_is_said_with_what_to_do(
    tmp_path: Path, amqp_url: str, user: str | None, vhost: str | None, state: str, words: str
) -> None:
    url = f"amqp://{user}@{amqp_url.rpartition('@')[2]}" if user else f"amqp://u:{SECRET}@127.0.0.1:{free_port()}/"
    if vhost:
        url = f"{url.rpartition('/')[0]}/{vhost}"
    (found,) = check_broker(settings(tmp_path, url))
    assert found.state == state
    assert words in found.found
    assert found.to_do
    assert SECRET not in found.found


def test_messages_that_nobody_could_decode_are_pointed_out(tmp_path: Path, rabbit: Rabbit, amqp_url: str) -> None:
    vhost = amqp_url.rpartition("/")[2]
    rabbit.put(f"/queues/{vhost}/orders.work.dead", durable=True, arguments={"x-queue-type": "quorum"})
    body = {"properties": {}, "routing_key": "orders.work.dead", "payload": "?", "payload_encoding": "string"}
    rabbit.post(f"/exchanges/{vhost}/amq.default/publish", **body)
    found = [*check_broker(settings(tmp_path, amqp_url))]
    assert [one.state for one in found] == ["well", "wrong"]
    assert "1 messages that no adapter could decode" in found[1].found
