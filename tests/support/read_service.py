"""The read side over HTTP without the rest of the service: a projector in a thread, and the routes on this loop."""

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import httpx
from litestar import Litestar

from order_service.api.encoded_slashes import encoded_slashes_kept
from order_service.api.head_requests import head_as_get
from order_service.api.problem_details import Problems
from order_service.postgres import service_url
from orders.api.problems import PROBLEMS as COMMAND_PROBLEMS
from orders.domain.instruments import BUILT_IN
from orders.eventstore.live_log import LiveLog
from orders.eventstore.port import EventStore
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.read_threads import ReadThreads
from orders.eventstore.subscription import Hints, PostgresHints
from projections.api.feed_events import events_router
from projections.api.feed_socket import feed_router
from projections.api.problems import PROBLEMS as READ_PROBLEMS
from projections.api.routes import query_router
from projections.feed_books import FeedBooks
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.projection import Projection
from projections.projector import run_projector
from projections.read_side import ReadSide, read_side
from projections.registry import PROJECTIONS
from tests.support.trading_desk import OPENING, TradingDesk


@contextmanager
def projecting(
    store: EventStore, url: str, projections: Sequence[Projection] = PROJECTIONS, *, hints: Hints | None = None
) -> Iterator[threading.Event]:
    """A projector in a thread, stopped at the end, or earlier by the event."""
    stop, ready, url = threading.Event(), threading.Event(), service_url(url)
    options = {"hints": hints, "projections": projections}
    thread = threading.Thread(target=run_projector, args=(store, url, stop, ready.set), kwargs=options)
    thread.start()
    assert ready.wait(10)
    try:
        yield stop
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


@dataclass
class ReadService:
    """`committed` is what the reads take for the highest position that this process has committed, `now` for the time:
    after all that a desk does."""

    url: str
    store: EventStore
    desk: TradingDesk
    client: httpx.AsyncClient
    side: ReadSide
    hub: FeedHub
    app: Litestar
    hints: Hints
    committed: int = 0
    now: datetime = OPENING + timedelta(days=365)

    def projecting(self) -> AbstractContextManager[threading.Event]:
        """A projector meanwhile; the event stops it earlier."""
        return projecting(self.store, self.url, hints=self.hints)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """What is appended meanwhile counts as committed by this API process."""
        yield
        self.committed = self.store.head()

    async def get(self, path: str, **params: object) -> httpx.Response:
        return await self.client.get(path, params={name: str(value) for name, value in params.items()})


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json()]


def wrong_fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


@asynccontextmanager
async def read_service(url: str, *, store: EventStore | None = None) -> AsyncIterator[ReadService]:
    """The routes over a migrated database, without a projector; the log is in `store`, if there is one. It has the
    rights of the running parts."""
    threads, url = ThreadPoolExecutor(4), service_url(url)
    store = PostgresEventStore(url) if store is None else store
    service: ReadService

    hints = PostgresHints(url)
    live = LiveLog(store, hints)
    side = read_side(
        url,
        url,
        store,
        BUILT_IN,
        ReadThreads(threads),
        committed=lambda: service.committed,
        known=lambda: live.position,
        now=lambda: service.now,
    )
    hub = FeedHub(live, BUILT_IN)
    books = FeedBooks(hub, side.reads)
    app = read_app(side, hub, LogReader(store, threads, BUILT_IN))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(cast(Any, app)), base_url="http://orders.test", timeout=20)
    service = ReadService(url, store, TradingDesk(store), client, side, hub, app, hints)
    await side.start()
    hub.start()
    books.start()
    await live.start()
    try:
        yield service
    finally:
        await hub.close()
        await books.close()
        live.close()
        hints.close()
        await side.close()
        await client.aclose()
        threads.shutdown()
        store.close()


def read_app(side: ReadSide, hub: FeedHub, reader: LogReader) -> Litestar:
    routers = [query_router(side.reads, side.order_reads, BUILT_IN), feed_router(hub, reader, BUILT_IN)]
    routers.append(events_router(hub, reader, BUILT_IN))
    handlers: dict[Any, Any] = Problems(COMMAND_PROBLEMS, READ_PROBLEMS).handlers()
    app = Litestar(route_handlers=routers, exception_handlers=handlers, openapi_config=None, logging_config=None)
    app.asgi_handler = encoded_slashes_kept(head_as_get(app.asgi_handler))
    return app
