"""A RabbitMQ node for one campaign or measurement, which may do with it what it likes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.support.rabbitmq_node import RabbitNode

_numbers = count(1)


@contextmanager
def own_node() -> Iterator[RabbitNode]:
    """Started; ended with the block. For the main thread."""
    with tempfile.TemporaryDirectory(prefix="orders-rabbitmq-", ignore_cleanup_errors=True) as folder:
        node = RabbitNode(Path(folder))
        try:
            node.start()
            yield node
        finally:
            node.close()


def fresh_vhost(node: RabbitNode) -> str:
    """The URL of a new virtual host; takes some seconds."""
    name = f"own-{next(_numbers)}"
    node.control("add_vhost", name)
    node.control("set_permissions", "--vhost", name, "guest", ".*", ".*", ".*")
    return f"amqp://guest:guest@127.0.0.1:{node.port}/{name}"
