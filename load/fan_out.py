"""The feed against a bare broadcast on the same server.

As many clients listen to each. New orders are appended to the log at once, and the turn ends when every client has
heard of each; then the bare server sends a message of the same bytes as often to as many clients, in a plain loop. The
product reads the log, makes each message of its event, and keeps a bounded queue a client. Clients, servers and
PostgreSQL share the cores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils
from msgspec import Struct

from load.durable_post import require_open_files
from load.feed_wire import FeedWire
from load.results import Contest, Pair
from load.servers import Server, ServerFailed, Stage, bare_server
from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.terms import Rules
from orders.eventstore.port import Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.http import LOCAL_ACCOUNT

TURN_S = 60.0  # for all clients to hear all of a turn
ORDERS_AN_APPEND = 1_000
OF_AN_ORDER = b'"order_id"'
"""What each message of a turn has, and no greeting or heartbeat."""


class Plan(Struct, frozen=True, kw_only=True):
    rounds: int = 5
    clients: int = 50
    messages: int = 1_000  # to each client in a turn


class Audience:
    """Clients of one server that count what they hear."""

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self._wires: list[FeedWire] = []
        self._left = clients  # of what is waited for: greetings first
        self._of_orders = False
        self._done = asyncio.Event()
        self.last = b""
        """The last message of an order."""

    async def join(self, port: int, query: str) -> None:
        """Until each was greeted, and is among those who are sent what comes. Raises ServerFailed."""
        for _ in range(self._clients):
            self._wires.append(await FeedWire.open(port, query, self._hear))
        await self.heard()

    def expect(self, messages: int) -> None:
        """Messages of orders that come from now on count."""
        self._left, self._of_orders = messages * self._clients, True
        self._done.clear()

    async def heard(self) -> None:
        """Raises ServerFailed."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._done.wait()
        except TimeoutError:
            raise ServerFailed(f"{self._left} messages did not come within {TURN_S:g} s") from None

    def leave(self) -> None:
        for wire in self._wires:
            wire.cut()

    def _hear(self, text: bytes) -> None:
        is_of_an_order = OF_AN_ORDER in text
        if is_of_an_order:
            self.last = text
        if is_of_an_order is self._of_orders:
            self._left -= 1
            if self._left == 0:
                self._done.set()


def measure(plan: Plan, stage: Stage) -> list[Contest]:
    """Raises ServerFailed."""
    require_open_files(plan.clients * 2)
    with bare_server("load.broadcast_app:create", stage.folder) as bare:
        store = PostgresEventStore(stage.url, application_name="load")
        try:
            pairs = asyncio.run(_rounds(plan, store, stage.api, bare))
        finally:
            store.close()
    return [
        Contest(
            name="feed",
            product="/ws",
            against="bare broadcast",
            unit="messages/s",
            setting=f"{plan.clients} clients, {plan.rounds} x 2 turns of {plan.messages} messages to each, one a frame",
            pairs=pairs,
        )
    ]


async def _rounds(plan: Plan, store: PostgresEventStore, api: Server, bare: Server) -> list[Pair]:
    with _audience(plan) as feed, _audience(plan) as crowd:
        await feed.join(api.port, f"after={store.head()}")
        await crowd.join(bare.port, "")
        pairs = []
        for number in range(plan.rounds + 1):
            product_s = await _told_by_the_feed(feed, store, plan.messages)
            against_s = await _told_by_the_bare(crowd, bare, feed.last, plan.messages)
            sent = plan.messages * plan.clients
            if number:  # the first turn of each warms up
                pairs.append(Pair(product=sent / product_s, against=sent / against_s))
        return pairs


@contextmanager
def _audience(plan: Plan) -> Iterator[Audience]:
    audience = Audience(plan.clients)
    try:
        yield audience
    finally:
        audience.leave()


async def _told_by_the_feed(feed: Audience, store: PostgresEventStore, messages: int) -> float:
    """Seconds from before the append until all have heard."""
    orders = _new_orders(messages)
    appends = [orders[start : start + ORDERS_AN_APPEND] for start in range(0, messages, ORDERS_AN_APPEND)]
    feed.expect(messages)
    began = time.perf_counter()
    for units in appends:
        await asyncio.to_thread(store.append, units)
    await feed.heard()
    return time.perf_counter() - began


async def _told_by_the_bare(crowd: Audience, bare: Server, text: bytes, messages: int) -> float:
    greeted = asyncio.Event()
    speaker = await FeedWire.open(bare.port, "", lambda text: greeted.set())
    await greeted.wait()
    crowd.expect(messages)
    began = time.perf_counter()
    speaker.say(b"%d %s" % (messages, text))
    await crowd.heard()
    took_s = time.perf_counter() - began
    speaker.cut()
    return took_s


def _new_orders(count: int) -> Sequence[Unit]:
    terms = c.Terms(symbol="EURUSD", quantity=10)
    orders = []
    for _ in range(count):
        order_id = _new_id()
        command = c.PlaceOrder(
            order_id=order_id,
            command_id=_new_id(),
            at=datetime.now(UTC),
            by="load",
            account=LOCAL_ACCOUNT,
            terms=terms,
        )
        orders.append(Unit(order_id, 0, tuple(decide(None, command, Rules()))))
    return orders


def _new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)
