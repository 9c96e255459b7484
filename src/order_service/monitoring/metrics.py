"""/metrics in Prometheus' text format."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

from litestar import Response, Router, get
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from orders.http import FAULTS

Refresh = Callable[[], Awaitable[None]]

PROMETHEUS_TEXT = "text/plain; version=0.0.4"  # Litestar adds the charset
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER = "other"
"""Methods and paths that no route has: one label for all, or a client could make as many as it likes."""
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a durable answer takes a millisecond or a few, DELETE up to two seconds."""


class Sampled(Collector):
    """What somebody in this process keeps anyway, read when it is asked for."""

    def __init__(self, *families: Callable[[], Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            yield family()


class Metrics:
    """A registry of its own, handed to whoever counts; requests are counted by `middleware`."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a gauge beside each counter, which nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Histogram(
            "orders_http_request_seconds",
            "Requests by method, route and status",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        text = "Answers of 500, to requests and to orders of a batch"
        self.faults = Counter("orders_faults_total", text, registry=self.registry)
        self._refreshes: list[Refresh] = []

    def before_each(self, refresh: Refresh) -> None:
        """`refresh` runs before each answer; it raises nothing, and ends soon."""
        self._refreshes.append(refresh)

    def sample(self, *families: Callable[[], Metric]) -> None:
        """Each makes a family of what is so just then."""
        self.registry.register(Sampled(*families))

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Counts every answer, those that no route gives included: it stands around the whole app."""

        async def measured(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            began = time.perf_counter()
            method = scope["method"] if scope["method"] in _METHODS else _OTHER

            async def counting_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = scope.get("path_template") or _OTHER
                    took = time.perf_counter() - began
                    self._requests.labels(method, route, message["status"]).observe(took)
                    failed = message["status"] == HTTPStatus.INTERNAL_SERVER_ERROR
                    self.faults.inc(1 if failed else scope.get("state", {}).get(FAULTS, 0))
                await send(message)

            await app(scope, receive, counting_send)

        return measured

    async def text(self) -> bytes:
        await asyncio.gather(*(refresh() for refresh in self._refreshes))
        return generate_latest(self.registry)


def metrics_router(metrics: Metrics) -> Router:
    @get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response[bytes]:
        return Response(await metrics.text(), media_type=PROMETHEUS_TEXT)

    handlers: list[Any] = [show_metrics]
    return Router(path="/", route_handlers=handlers, opt={"scope": "admin", "last_known": True})
