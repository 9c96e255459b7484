"""The check of RabbitMQ in `orders doctor`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from order_service.cli.findings import Finding
from order_service.configuration.broker_settings import broker_address
from order_service.configuration.settings import Settings

_NAME = "RabbitMQ"


def check_broker(settings: Settings) -> Iterator[Finding]:
    if not settings.amqp_url:
        yield Finding(_NAME, "well", "not used: the adapter reads the log itself")
        return
    from orders.broker.errors import BrokerAway, BrokerError
    from orders.broker.inspection import inspect
    from orders.broker.topology import DEAD_QUEUE

    at = broker_address(settings.amqp_url)
    try:
        found = asyncio.run(inspect(settings.amqp_url, "orders doctor"))
    except BrokerAway as error:
        yield Finding(_NAME, "unreachable", f"no answer at {at}: {error}", "start RabbitMQ, or correct AMQP_URL")
        return
    except BrokerError as error:
        to_do = "correct AMQP_URL, or let its user configure, write and read orders.* in that virtual host"
        yield Finding(_NAME, "wrong", f"{at}: {error}", to_do)
        return
    queues = "its queues are there" if found.declared else "the relay makes its queues at its first start"
    yield Finding(_NAME, "well", f"{at} answers, and {queues}")
    if found.dead:
        what = f"{found.dead} messages that no adapter could decode wait in {DEAD_QUEUE}"
        yield Finding(_NAME, "wrong", what, "see who else publishes to orders.work, then purge that queue")
