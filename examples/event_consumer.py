"""Keeps what each order has filled, in a file of SQLite, from the integration events of the order service in RabbitMQ:

    python examples/event_consumer.py amqp://guest:guest@127.0.0.1:5672/ filled.db

It shows what a consumer has to mind. Messages come at least once, and after a restart some come again: each says the
whole order after its event, so that one is taken only where its version is newer than what is stored. A message is
acknowledged after the commit; while the file cannot be written it waits, and is not given back. What cannot be read
goes to a queue of its own, for a person. RabbitMQ may go away at any time: everything is opened anew then, and the
queue has kept what came meanwhile, up to its bound.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress

import aio_pika
import msgspec
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

QUEUE = "filled.orders"  # ours: the name of another consumer is another one
DEAD = "filled.unreadable"
WANTED = ("OrderExecuted.#", "ExecutionBusted.#", "ExecutionCorrected.#")  # of all symbols and accounts
KNOWN_TYPES = tuple(f"order-service.{key.partition('.')[0]}.v1" for key in WANTED)
LIMITS = {
    "x-max-length": 1_000_000,  # the oldest leave then, for DEAD; GET /events has them still
    "x-overflow": "drop-head",  # one that refuses more would hold up the events of everyone
    "x-delivery-limit": 1_000_000,  # RabbitMQ 4 takes a message for bad after 20 deliveries: a day of restarts
}
PREFETCH = 100
TRY_AGAIN_S = 1.0
CONNECT_TIMEOUT_S = 5.0


class OrderEvent(msgspec.Struct):
    """Those fields of docs/reference/integration-events/order-event.v1.json that are used here."""

    order_id: str
    version: int
    symbol: str
    side: str
    filled_quantity: int
    average_price: str | None


def open_file(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute(
        "create table if not exists filled (order_id text primary key, version int not null, symbol text, side text,"
        " quantity int, average_price text)"
    )
    return database


def store(database: sqlite3.Connection, event: OrderEvent) -> bool:
    """Whether it was newer than what is there."""
    with database:
        done = database.execute(
            "insert into filled values (:order_id, :version, :symbol, :side, :filled_quantity, :average_price)"
            " on conflict (order_id) do update set version = excluded.version, quantity = excluded.quantity,"
            " average_price = excluded.average_price where excluded.version > filled.version",
            msgspec.structs.asdict(event),
        )
    return done.rowcount > 0


def read(message: AbstractIncomingMessage) -> OrderEvent:
    """Raises msgspec.MsgspecError, also where the type is none that was asked for."""
    if message.headers.get("cloudEvents_type") not in KNOWN_TYPES:
        raise msgspec.ValidationError(f"its type is {message.headers.get('cloudEvents_type')!r}")
    return msgspec.json.decode(message.body, type=OrderEvent)


async def stored(database: sqlite3.Connection, event: OrderEvent) -> bool:
    """As `store`, once the file can be written."""
    while True:
        try:
            return store(database, event)
        except sqlite3.Error as error:
            print(f"the file cannot be written: {error!r}", file=sys.stderr, flush=True)
            await asyncio.sleep(TRY_AGAIN_S)


async def take(message: AbstractIncomingMessage, database: sqlite3.Connection) -> None:
    try:
        event = read(message)
    except msgspec.MsgspecError as error:
        print(f"unreadable message {message.message_id}: {error}", flush=True)
        await message.reject(requeue=False)  # to DEAD
        return
    if await stored(database, event):
        print(f"{event.order_id} has filled {event.filled_quantity} {event.symbol}", flush=True)
    await message.ack()


async def consume(connection: AbstractConnection, database: sqlite3.Connection) -> None:
    """Until the connection is lost, or RabbitMQ ends the consumer."""
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=PREFETCH)
    exchange = await channel.declare_exchange("orders.events", aio_pika.ExchangeType.TOPIC, durable=True)
    await channel.declare_queue(DEAD, durable=True, arguments={"x-queue-type": "quorum", "x-max-length": 10_000})
    to_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD}
    queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum", **LIMITS, **to_dead})
    for key in WANTED:
        await queue.bind(exchange, key)
    print("waiting for events", flush=True)
    async with queue.iterator() as messages:
        async for message in messages:
            await take(message, database)


async def main(url: str, path: str) -> None:
    with closing(open_file(path)) as database:
        while True:
            try:
                connection = await aio_pika.connect(url, timeout=CONNECT_TIMEOUT_S)
                async with connection:
                    await consume(connection, database)
            except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
                print(f"RabbitMQ is away: {error!r}", file=sys.stderr, flush=True)
            await asyncio.sleep(TRY_AGAIN_S)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
