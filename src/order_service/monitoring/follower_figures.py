"""How far the followers of the log are behind it, in events and in seconds, and the database itself, in /metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from order_service.monitoring.latest_figures import LatestFigures
from order_service.monitoring.metric_families import gauge, gauges
from orders.eventstore.sql import load
from projections.errors import ReadError

_SQL = load("order_service.monitoring", "follower_figures.sql")

Rows = Callable[[str, Mapping[str, object]], Awaitable[list[tuple[Any, ...]]]]


class FollowerLag(Struct, frozen=True):
    """`lag_s` is the age of the oldest event that it has not taken; 0 where there is none."""

    follower: str
    position: int
    lag_events: int
    lag_s: float


class DatabaseFigures(Struct, frozen=True):
    lags: tuple[FollowerLag, ...]
    size_bytes: int
    connections: int


class FollowerFigures(Collector):
    """`rows(statement, parameters)` asks the database; `names` are the followers that should be there. While the
    database does not answer, there are no values at all instead of old ones, and `orders_database_readable` is 0."""

    def __init__(
        self,
        registry: CollectorRegistry,
        rows: Rows,
        names: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        async def read() -> DatabaseFigures:
            found = await rows(_SQL["lags"], {"names": list(names)})
            ((size_bytes, connections),) = await rows(_SQL["database"], {})
            return DatabaseFigures(tuple(FollowerLag(*row) for row in found), size_bytes, connections)

        self._latest = LatestFigures(read, ReadError, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    @property
    def lags(self) -> Sequence[FollowerLag]:
        """As they were read last; none where the database did not answer."""
        return () if self._latest.value is None else self._latest.value.lags

    def collect(self) -> Iterator[Metric]:
        figures = self._latest.value
        yield gauge("orders_database_readable", "Whether the database answered", figures is not None)
        if figures is None:
            return
        columns: dict[str, tuple[str, Callable[[FollowerLag], float]]] = {
            "position": ("Position of the log up to which it has come", lambda lag: lag.position),
            "lag_events": ("Events that it is behind the log", lambda lag: lag.lag_events),
            "lag_seconds": ("Age of the oldest event that it has not taken", lambda lag: lag.lag_s),
        }
        for name, (text, value) in columns.items():
            values = {lag.follower: value(lag) for lag in figures.lags}
            yield gauges(f"orders_follower_{name}", text, "follower", values)
        yield gauge("orders_database_size_bytes", "What the database takes on disk", figures.size_bytes)
        yield gauge("orders_database_connections", "Connections to the database, by anyone", figures.connections)
