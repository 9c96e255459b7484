"""The command API over HTTP without the rest of the service: the app of an API process on any event store, and a hand
that plays the exchange."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
from litestar import Litestar
from uuid_utils.compat import uuid7

from order_service.api.asgi import ApiParts, create_app
from order_service.api.problem_details import Problem
from order_service.configuration.rate_settings import Rates
from order_service.monitoring.health import Check, Health
from order_service.monitoring.metrics import Metrics
from orders.api.commands import OrderCommands
from orders.api.problems import PROBLEMS
from orders.api.routes import command_routes
from orders.bounds import APPEND_TIMEOUT_S
from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN, Catalogue
from orders.domain.order import Order
from orders.domain.terms import Rules
from orders.domain.values import Capabilities
from orders.eventstore.group_commit import Writer
from orders.eventstore.live_log import LiveLog
from orders.eventstore.port import EventStore
from orders.eventstore.read_threads import ReadThreads
from orders.eventstore.subscription import Hints, MemoryHints
from orders.handlers import CommandHandler
from orders.venue_reply import OrderChanges

CAPABLE = Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True, reports=True)
EURUSD: dict[str, Any] = {"symbol": "EURUSD", "quantity": 10}
LIMIT: dict[str, Any] = {**EURUSD, "limit_price": "1.10000"}


@dataclass
class CommandService:
    """`http` asks the app; `venue_does` records what the exchange said."""

    store: EventStore
    handler: CommandHandler
    app: Litestar
    http: httpx.AsyncClient
    writer: Writer

    async def place(self, **terms: Any) -> dict[str, Any]:
        answer = await self.http.post("/orders", json={**EURUSD, **terms})
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    async def place_at_venue(self, **terms: Any) -> UUID:
        """An order that the exchange has."""
        order_id = UUID((await self.place(**terms))["id"])
        await self.venue_does(order_id, c.StartSubmit, worker="w")
        await self.venue_does(order_id, c.RecordAccepted)
        return order_id

    async def venue_does(self, order_id: UUID, kind: type[c.Command], **fields: Any) -> Order:
        command = kind(order_id=order_id, command_id=uuid4(), at=datetime.now(UTC), by="venue", **fields)
        return (await self.handler.execute(command)).order

    def events(self, order_id: UUID | str) -> list[str]:
        """The names of the order's events."""
        return [type(one.event).__name__ for one in self.store.read_stream(UUID(str(order_id)))]


@asynccontextmanager
async def command_service(
    store: EventStore,
    hints: Hints,
    *,
    venue: Capabilities = CAPABLE,
    catalogue: Catalogue = BUILT_IN,
    default_symbol: str | None = None,
    venue_wait_s: float = 2.0,
    append_timeout_s: float = APPEND_TIMEOUT_S,
    followed: EventStore | None = None,
    checks: Mapping[str, Check] | None = None,
    rates: Rates | None = None,
    reads: ReadThreads | None = None,
) -> AsyncIterator[CommandService]:
    """`followed` is where the live log is read from, if that is another way to the same log."""
    threads = ThreadPoolExecutor(4)
    writer, live, changes = Writer(store, timeout_s=append_timeout_s), LiveLog(followed or store, hints), OrderChanges()
    handler = CommandHandler(store, writer, Rules(catalogue=catalogue, venue=venue), reads or ReadThreads(threads))
    commands = OrderCommands(
        handler,
        changes,
        new_id=uuid7,
        now=lambda: datetime.now(UTC),
        default_symbol=default_symbol,
        venue_wait_s=venue_wait_s,
    )
    app = create_app(
        ApiParts(
            handlers=command_routes(commands, problem=Problem, position=lambda: writer.last_position),
            problem_tables=[PROBLEMS],
            health=Health(checks or {}),
            metrics=Metrics(),
            lifespan=lambda app: nullcontext(),
            position=lambda: writer.last_position,
            rates=rates or Rates(),
        )
    )
    writer.start()
    await live.start()
    live.listen(changes.publish)
    try:
        transport = httpx.ASGITransport(app=cast(Any, app))
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as http:
            yield CommandService(store, handler, app, http, writer)
    finally:
        writer.close(2.0)
        closing = asyncio.ensure_future(asyncio.to_thread(live.close))
        while not closing.done():
            if isinstance(hints, MemoryHints):
                hints.give()  # the log's thread looks up at once, not at its next poll
            await asyncio.sleep(0)
        threads.shutdown(wait=False)
