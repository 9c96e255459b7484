"""The operators' API over HTTP, the table of duties kept beside it, and a hand that plays adapter and exchange."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import psycopg
from litestar import Litestar
from uuid_utils.compat import uuid7

from exchange_adapter.adapter_tables import AdapterTables
from exchange_adapter.api.problems import PROBLEMS as OPERATION_PROBLEMS
from exchange_adapter.api.routes import Facts, operations_router
from exchange_adapter.operations import Operations
from exchange_adapter.policy import Limits
from exchange_adapter.work.duties import FOLLOWER, apply_batch
from order_service.api.asgi import ApiParts, create_app
from order_service.api.problem_details import Problem
from order_service.monitoring.health import Health
from order_service.monitoring.metrics import Metrics
from orders.api.problems import PROBLEMS as COMMAND_PROBLEMS
from orders.domain import commands as c
from orders.domain.events import OrderEvent
from orders.domain.order import Order, fold
from orders.domain.terms import Rules
from orders.domain.values import Capabilities
from orders.eventstore.group_commit import Writer
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.read_threads import ReadThreads
from orders.eventstore.subscription import PostgresHints
from orders.follower import Follower, read_checkpoint
from orders.handlers import CommandHandler
from orders.parameters import Asked
from tests.support.running_adapter import Client
from tests.support.waiting import wait_until

CALL_TIMEOUT_S = 10.0


def results(answer: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    """Of each order what came of it."""
    return {one["order_id"]: one["result"] for one in answer["results"]}


@dataclass
class OperationsService:
    """Times of commands are `at`; the API's clock is `at` too, so that a test moves both by setting it."""

    url: str
    http: httpx.AsyncClient
    client: Client
    app: Litestar
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def does(self, order_id: UUID, kind: type[c.Command], **fields: Any) -> None:
        self.client.give(kind(order_id=order_id, command_id=uuid4(), at=self.at, by="exchange adapter", **fields))

    def parked(self, count: int = 1, reason: str = "8 attempts failed", **terms: Any) -> list[UUID]:
        order_ids = self.client.place(count, **terms)
        for order_id in order_ids:
            self.does(order_id, c.ParkPlacement, reason=reason)
        self.catch_up()
        return order_ids

    def in_doubt(self, count: int = 1, worker: str = "w-1", **terms: Any) -> list[UUID]:
        order_ids = self.client.place(count, **terms)
        for order_id in order_ids:
            self.does(order_id, c.StartSubmit, worker=worker)
            self.does(order_id, c.RecordSubmitInDoubt, attempt=1, reason="no answer within 10 s")
        self.catch_up()
        return order_ids

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def catch_up(self) -> None:
        """Until the table of duties holds the whole log."""

        def there() -> bool:
            with psycopg.connect(self.url) as connection:
                checkpoint = read_checkpoint(connection, FOLLOWER)
            return checkpoint is not None and checkpoint.position == self.client.store.head()

        wait_until(there, what="the table of duties")

    def lives(self, worker: str, *, silent_s: float = 0.0, figures: str = "{}", backend_pid: int = 1) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "insert into adapter_workers (worker, venue, backend_pid, seen_at, shards, figures)"
                " values (%s, 'simulated', %s, now() - make_interval(secs => %s), '{1,2}', %s)",
                (worker, backend_pid, silent_s, figures),
            )

    async def get(self, path: str, **params: object) -> Any:
        answer = await self.http.get(path, params={name: str(value) for name, value in params.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(path, json={"reason": "the exchange said so", **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, status: int, **body: Any) -> Any:
        answer = await self.http.post(path, json={"reason": "the exchange said so", **body})
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def operations_service(database_url: str, venue: Capabilities) -> AsyncIterator[OperationsService]:
    store = PostgresEventStore(database_url, application_name="test operations")
    threads, writer, tables = ThreadPoolExecutor(4), Writer(store), AdapterTables(database_url)
    handler = CommandHandler(store, writer, Rules(venue=venue), ReadThreads(threads))
    service: OperationsService
    operations = Operations(
        handler, tables, Limits(call_timeout_s=CALL_TIMEOUT_S), new_id=uuid7, now=lambda: service.at
    )

    async def caught_up(asked: Asked) -> None:
        """What reads ask for and get is tested with all reads of the service."""

    app = create_app(
        ApiParts(
            handlers=[operations_router(operations, tables, Facts(store.head, caught_up), problem=Problem)],
            problem_tables=[COMMAND_PROBLEMS, OPERATION_PROBLEMS],
            health=Health({}),
            metrics=Metrics(),
            lifespan=lambda app: nullcontext(),
            position=lambda: writer.last_position,
        )
    )
    writer.start()
    transport = httpx.ASGITransport(app=cast(Any, app))
    try:
        with keeping_duties(database_url):
            async with httpx.AsyncClient(transport=transport, base_url="http://orders.test", timeout=20) as http:
                service = OperationsService(database_url, http, Client(store, venue), app)
                yield service
    finally:
        writer.close(2.0)
        tables.close()
        threads.shutdown()
        store.close()


@contextmanager
def keeping_duties(database_url: str) -> Iterator[None]:
    """The follower of the duties alone, without an adapter around it."""
    store, hints, stop = PostgresEventStore(database_url), PostgresHints(database_url), threading.Event()

    def look_up(order_id: UUID) -> Order | None:
        return fold(order_id, (r.event for r in store.read_stream(order_id) if isinstance(r.event, OrderEvent)))

    def apply(cursor: Any, batch: Any) -> None:
        apply_batch(cursor, batch, look_up, [])

    follower = Follower(FOLLOWER, store, database_url, apply, hints)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        hints.close()
        store.close()
