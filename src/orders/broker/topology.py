"""The adapter's work in RabbitMQ: names, queues, and the message. Pure; both sides build on it.

`orders.work` is a direct exchange; each shard has a quorum queue, `orders.work.<shard>`, with the shard's number as its
routing key. What a consumer rejects without requeueing goes to the exchange and queue `orders.work.dead`: only what
cannot be decoded.

A message is a hint: these orders have something to do at the exchange, as of these positions. Who gets it loads each
order from the log, which alone decides; so a message may be lost, doubled, late or out of order without harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from orders.broker.bounds import (
    MAX_DEAD_MESSAGES,
    MAX_HINTS,
    MAX_QUEUED_BYTES,
    MAX_QUEUED_MESSAGES,
    WORK_DELIVERY_LIMIT,
)
from orders.broker.errors import UndecodableWork
from orders.domain import events as e
from orders.eventstore.port import Recorded
from orders.shards import SHARDS, shard_of
from orders.unreadable import UNREADABLE

WORK_EXCHANGE = "orders.work"
DEAD_EXCHANGE = DEAD_QUEUE = "orders.work.dead"
WORK_VERSION = 1

BEGIN_WORK = (e.OrderPlaced, e.CancelRequested, e.ReplaceRequested, e.PlacementResumed, e.OperatorResolved)
"""The events after which an order has something new to do at the exchange. Everything else that is to be done, retries
for one, follows from the table of duties."""


class Queue(Struct, frozen=True):
    """A durable quorum queue, bound to an exchange with a routing key."""

    name: str
    exchange: str
    routing_key: str
    arguments: dict[str, Any]


class Hint(Struct, frozen=True, array_like=True):
    """Stored as `["<order id>", position]`."""

    order_id: UUID
    position: int


class WorkMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """At most MAX_HINTS hints of one shard, each order once, in the order of their positions."""

    v: int
    hints: tuple[Hint, ...]


def work_queue(shard: int) -> Queue:
    """Full, it refuses more instead of dropping the oldest, which would make them dead letters."""
    return Queue(
        name=f"{WORK_EXCHANGE}.{shard}",
        exchange=WORK_EXCHANGE,
        routing_key=str(shard),
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": WORK_DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_EXCHANGE,
            "x-max-length": MAX_QUEUED_MESSAGES,
            "x-max-length-bytes": MAX_QUEUED_BYTES,
            "x-overflow": "reject-publish",
        },
    )


def dead_queue() -> Queue:
    arguments = {"x-queue-type": "quorum", "x-max-length": MAX_DEAD_MESSAGES, "x-overflow": "drop-head"}
    return Queue(name=DEAD_QUEUE, exchange=DEAD_EXCHANGE, routing_key="", arguments=arguments)


def work_messages(batch: Iterable[Recorded]) -> Iterator[tuple[int, WorkMessage]]:
    """The shard and the message of each, for what a part of the log makes necessary."""
    latest: dict[UUID, int] = {}
    for recorded in batch:
        if isinstance(recorded.event, BEGIN_WORK):
            latest.pop(recorded.stream_id, None)
            latest[recorded.stream_id] = recorded.position
    by_shard: dict[int, list[Hint]] = {}
    for order_id, position in latest.items():
        by_shard.setdefault(shard_of(order_id), []).append(Hint(order_id, position))
    for shard, hints in by_shard.items():
        for begin in range(0, len(hints), MAX_HINTS):
            yield shard, WorkMessage(WORK_VERSION, tuple(hints[begin : begin + MAX_HINTS]))


def message_id(shard: int, message: WorkMessage) -> str:
    """The same whenever the same part of the log is published again."""
    return f"{shard}:{message.hints[0].position}-{message.hints[-1].position}"


def encode_work(message: WorkMessage) -> bytes:
    return _encoder.encode(message)


def decode_work(body: bytes) -> WorkMessage:
    """Raises UndecodableWork."""
    try:
        message = _decoder.decode(body)
    except UNREADABLE as error:
        raise UndecodableWork(str(error)) from error
    if message.v != WORK_VERSION:
        raise UndecodableWork(f"version {message.v}: this release knows {WORK_VERSION}")
    if not 0 < len(message.hints) <= MAX_HINTS:
        raise UndecodableWork(f"{len(message.hints)} hints, at least 1 and at most {MAX_HINTS}")
    return message


WORK_QUEUES = tuple(work_queue(shard) for shard in range(SHARDS))

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(WorkMessage)
