"""What is told of the projections: in /metrics, and to operators."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exchange_adapter.api.routes import FollowerFailure, ProjectionLag, RebuildState
from order_service.monitoring.latest_figures import LatestFigures
from projections.errors import ReadError
from projections.queries import Lag


class ProjectionMetrics(Collector):
    """While the database does not answer, there are no values at all instead of old ones."""

    def __init__(
        self,
        registry: CollectorRegistry,
        lags: Callable[[], Awaitable[Sequence[Lag]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = LatestFigures(lags, ReadError, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        lags = self._latest.value or ()
        values: dict[str, tuple[str, Callable[[Lag], int]]] = {
            "followed": ("Whether a projector keeps it", lambda lag: lag.followed),
            "failed": ("Whether it has stopped at an event", lambda lag: lag.failed is not None),
        }
        for name, (text, value) in values.items():
            family = GaugeMetricFamily(f"orders_projection_{name}", text, labels=["projection"])
            for lag in lags:
                family.add_metric([lag.projection], value(lag))
            yield family
        yield _failed_positions(lags)


def _failed_positions(lags: Iterable[Lag]) -> Metric:
    """Of the failing ones only. A label is for a few values, so of the reason it has the kind of error."""
    text = "Position of the event at which it has stopped"
    family = GaugeMetricFamily("orders_projection_failed_position", text, labels=["projection", "reason"])
    for lag in lags:
        if lag.failed is not None:
            kind, _, _ = lag.failed.reason.partition(":")
            family.add_metric([lag.projection, kind if kind.isidentifier() else "other"], lag.failed.position)
    return family


def operators_lags(lags: Iterable[Lag]) -> list[ProjectionLag]:
    """As GET /ops/projections shows them."""
    return [
        ProjectionLag(
            name=lag.projection,
            position=lag.position,
            lag_events=lag.lag_events,
            followed=lag.followed,
            failed=None
            if lag.failed is None
            else FollowerFailure(position=lag.failed.position, reason=lag.failed.reason, since=lag.failed.since),
            generation=lag.generation,
            rebuild=None if lag.rebuild is None else RebuildState(**msgspec.structs.asdict(lag.rebuild)),
        )
        for lag in lags
    ]
