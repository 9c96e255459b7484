"""RabbitMQ killed while orders flow through the whole service: the campaign in its short form. The long form is in
`make chaos`."""

from __future__ import annotations

from tests.campaigns.broker_kills import PLACE_ORDER, run
from tests.support.rabbitmq import Rabbit

ORDERS = 200


def test_orders_are_taken_and_placed_once_while_rabbitmq_is_killed_and_comes_back(fragile_rabbit: Rabbit) -> None:
    vhost = fragile_rabbit.add_vhost()
    outcome = run(PLACE_ORDER, ORDERS, 1, 20260703, fragile_rabbit, fragile_rabbit.url(vhost), per_second=25.0)
    assert not outcome.findings, str(outcome)
    assert outcome.answers == {"POST 201": ORDERS}, "also while the broker is away"
    assert outcome.balance.accepted == ORDERS
    assert outcome.by_message > ORDERS // 4, "before the kill, and after the return"
