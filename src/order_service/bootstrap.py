"""Builds the object graph of each part from the settings. Nothing else builds its own dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from litestar import Litestar
from litestar.types import ASGIApp
from uuid_utils.compat import uuid7

from exchange_adapter.adapter_tables import AdapterTables
from exchange_adapter.api.problems import PROBLEMS as OPERATION_PROBLEMS
from exchange_adapter.api.routes import Facts, operations_router
from exchange_adapter.operations import Operations
from exchange_adapter.policy import Limits
from exchange_adapter.work.duties import FOLLOWER as DUTIES
from order_service.api.asgi import ApiParts, create_app
from order_service.api.problem_details import Problem
from order_service.bounds import API_THREADS, SHUTDOWN_DRAIN_S
from order_service.configuration.access_settings import TokenRules
from order_service.configuration.settings import Settings
from order_service.database import Database, database
from order_service.exchange import capabilities
from order_service.monitoring.adapter_metrics import AdapterMetrics
from order_service.monitoring.api_figures import observe_api
from order_service.monitoring.degradation import Degradation
from order_service.monitoring.follower_figures import FollowerFigures
from order_service.monitoring.followers import followers
from order_service.monitoring.health import Appends, Health, Migrations, QueryTables
from order_service.monitoring.metrics import Metrics
from order_service.monitoring.order_life import OrderLife
from order_service.monitoring.projection_figures import ProjectionMetrics
from order_service.security.access import Access
from order_service.security.authentication import Authentication
from order_service.security.door import Door, door_rules
from order_service.security.key_table import PostgresKeys
from order_service.security.known_keys import KnownKeys
from order_service.security.open_streams import OpenStreams
from order_service.security.principal import account_of
from orders.api.commands import OrderCommands
from orders.api.problems import PROBLEMS as COMMAND_PROBLEMS
from orders.api.routes import command_routes
from orders.domain.terms import Rules
from orders.eventstore.group_commit import Writer
from orders.eventstore.live_log import LiveLog
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.read_threads import ReadThreads
from orders.eventstore.subscription import PostgresHints
from orders.handlers import Appender, CommandHandler
from orders.parameters import Asked
from orders.venue_reply import OrderChanges
from projections.api.feed_events import events_router
from projections.api.feed_socket import feed_router
from projections.api.operators import operators_router
from projections.api.problems import PROBLEMS as READ_PROBLEMS
from projections.api.routes import query_router
from projections.bounds import MAX_ACCOUNT_FEED_CLIENTS, MAX_FEED_CLIENTS
from projections.feed_books import FeedBooks
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.queries import AskedRebuild
from projections.read_side import read_side
from projections.rebuild_requests import ask_for_rebuild
from projections.registry import PROJECTIONS

if TYPE_CHECKING:
    from order_service.security.tokens import Tokens
    from order_service.tracing.spans import Spans


def system_clock() -> datetime:
    return datetime.now(UTC)


def new_id() -> UUID:
    """UUIDv7 (RFC 9562): ordered by time, so that indexes grow at one end."""
    return uuid7()


def rules(settings: Settings) -> Rules:
    return Rules(catalogue=settings.catalogue, venue=capabilities(settings))


def _tokens(rules: TokenRules) -> Tokens:
    from order_service.security.tokens import Tokens  # with its cryptography a tenth of the time of a start

    return Tokens(rules)


def access(settings: Settings, url: str) -> Access:
    """`url` leads to the database with the API keys."""
    if not settings.access.required:
        return Access()
    table = PostgresKeys(url)
    keys = KnownKeys(table)
    tokens = None if settings.access.tokens is None else _tokens(settings.access.tokens)
    return Access(Authentication(keys, tokens), OpenStreams(keys), when_closed=table.close)


Drain = Callable[[], Awaitable[None]]


def build_api(
    settings: Settings, *, started: Callable[[Drain], None] | None = None, spans: Spans | None = None
) -> Litestar:
    """The API process: commands, queries, feed, health, documents. `started` is called on the event loop with what is
    to run before the server ends its connections: it sends clients elsewhere. `spans` leave traces.

    Raises SettingsError, UnreachableError."""
    return create_app(_ApiProcess(settings, database(settings), started, spans).parts())


class _ApiProcess:
    def __init__(
        self, settings: Settings, where: Database, started: Callable[[Drain], None] | None, spans: Spans | None
    ) -> None:
        catalogue = settings.catalogue
        self._where = where
        self._store = PostgresEventStore(where.url, direct_url=where.direct_url, application_name="orders api")
        self._writer = Writer(self._store)
        self._threads = ThreadPoolExecutor(API_THREADS, thread_name_prefix="log reads")
        self._changes = OrderChanges()
        self._spans = spans
        reads = ReadThreads(self._threads)
        handler = CommandHandler(self._store, self._appender(), rules(settings), reads)
        self._door = Door(door_rules(settings))
        self._access = access(settings, where.direct_url)
        self._adapter = AdapterTables(where.url)
        limits = Limits(call_timeout_s=settings.venue_call_timeout_s)
        self._operations = Operations(handler, self._adapter, limits, new_id=new_id, now=system_clock)
        self._commands = OrderCommands(
            handler, self._changes, new_id=new_id, now=system_clock, default_symbol=settings.default_symbol
        )
        self._hints = PostgresHints(where.direct_url, application_name="orders api hints")
        self._live = LiveLog(self._store, self._hints)
        self._reads = read_side(
            where.url,
            where.direct_url,
            self._store,
            catalogue,
            reads,
            committed=lambda: self._writer.last_position,
            known=self._position,
            now=system_clock,
        )
        most_of_account = MAX_ACCOUNT_FEED_CLIENTS if settings.access.required else MAX_FEED_CLIENTS
        self._hub = FeedHub(self._live, catalogue, most_of_account=most_of_account)
        self._books = FeedBooks(self._hub, self._reads.reads)
        self._started = started
        self._rates = settings.rates
        self._catalogue = catalogue
        metrics = Metrics()
        self._life = OrderLife(metrics.registry)
        self._metrics = self._observed(metrics, followers(settings))
        self._health = Health(
            {
                "query tables": QueryTables(self._reads.reads.lags, quotes_errors=not settings.access.required).check,
                "migrations": Migrations(where.direct_url).check,
            },
            warnings={
                "appends": Appends(self._writer.commits, quotes_errors=not settings.access.required).check,
                "adapters": self._degradation.of_adapters,
                "followers": self._degradation.of_followers,
            },
        )

    def parts(self) -> ApiParts:
        reads, log_reader = self._reads, LogReader(self._store, self._threads, self._catalogue)
        handlers = [
            query_router(reads.reads, reads.order_reads, self._catalogue, problem=Problem, account_of=account_of),
            *command_routes(self._commands, problem=Problem, account_of=account_of, position=self._position),
            feed_router(self._hub, log_reader, self._catalogue, account_of=account_of),
            events_router(self._hub, log_reader, self._catalogue, problem=Problem, account_of=account_of),
            operations_router(self._operations, self._adapter, self._facts(), problem=Problem, account_of=account_of),
            operators_router(reads.reads, self._ask_for_rebuild, problem=Problem, account_of=account_of),
        ]
        return ApiParts(
            handlers=handlers,
            problem_tables=[COMMAND_PROBLEMS, READ_PROBLEMS, OPERATION_PROBLEMS],
            health=self._health,
            metrics=self._metrics,
            lifespan=self._lifespan,
            door=self._door,
            access=self._access,
            position=self._position,
            around=self._around,
            rates=self._rates,
        )

    def _facts(self) -> Facts:
        async def caught_up(asked: Asked) -> None:
            await self._reads.reads.follower_position(DUTIES, asked)

        return Facts(self._position, caught_up)

    async def _ask_for_rebuild(self, projection: str, by: str) -> AskedRebuild:
        return await ask_for_rebuild(self._where.direct_url, PROJECTIONS, projection, by)

    def _position(self) -> int:
        """The highest position of the log that this process knows."""
        return max(self._writer.last_position, self._live.position)

    def _lifespan(self, app: Litestar) -> AbstractAsyncContextManager[None]:
        return self._running()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self._writer.start()
        await self._reads.start()
        await self._live.start()
        self._live.listen(self._changes.publish)
        self._live.listen(self._life.see)
        self._hub.start()
        self._books.start()
        if self._started is not None:
            self._started(self._drain)
        try:
            yield
        finally:
            await self._hub.close()
            await self._books.close()
            await asyncio.to_thread(self._writer.close, SHUTDOWN_DRAIN_S)
            self._live.close()
            self._hints.close()
            self._access.close()
            await self._reads.close()
            self._adapter.close()
            self._store.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
            if self._spans is not None:
                await asyncio.to_thread(self._spans.close)

    async def _drain(self) -> None:
        """Sends the clients elsewhere: balancers by the health check, those who wait for the venue by what is known so
        far, those of the feed by a goodbye."""
        self._health.drain()
        self._changes.close()
        await self._hub.close()

    def _appender(self) -> Appender:
        if self._spans is None:
            return self._writer
        from order_service.tracing.request_spans import TracedAppender

        return TracedAppender(self._writer, self._spans.tracer)

    def _around(self, app: ASGIApp) -> ASGIApp:
        if self._spans is None:
            return app
        from order_service.tracing.request_spans import traced_requests

        return traced_requests(self._spans.tracer, app)

    def _observed(self, metrics: Metrics, names: Sequence[str]) -> Metrics:
        adapters = AdapterMetrics(metrics.registry, self._adapter.figures)
        behind = FollowerFigures(metrics.registry, self._reads.pool.rows, names)
        projections = ProjectionMetrics(metrics.registry, self._reads.reads.lags)
        for figures in (adapters, behind, projections):
            metrics.before_each(figures.refresh)
        self._degradation = Degradation(adapters, behind, [projection.name for projection in PROJECTIONS])
        observe_api(metrics, self._writer, self._live, self._hub)
        return metrics
