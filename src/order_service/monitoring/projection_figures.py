"""What /metrics tells of the projections."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from order_service.monitoring.latest_figures import LatestFigures
from projections.errors import ReadError
from projections.queries import ProjectionLag


class ProjectionMetrics(Collector):
    """While the database does not answer, there are no values at all instead of old ones."""

    def __init__(
        self,
        registry: CollectorRegistry,
        lags: Callable[[], Awaitable[Sequence[ProjectionLag]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = LatestFigures(lags, ReadError, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        lags = self._latest.value or ()
        values: dict[str, tuple[str, Callable[[ProjectionLag], int]]] = {
            "followed": ("Whether a projector keeps it", lambda lag: lag.followed),
            "failed": ("Whether it has stopped at an event", lambda lag: lag.failed is not None),
        }
        for name, (text, value) in values.items():
            family = GaugeMetricFamily(f"orders_projection_{name}", text, labels=["projection"])
            for lag in lags:
                family.add_metric([lag.name], value(lag))
            yield family
        yield _failed_positions(lags)


def _failed_positions(lags: Iterable[ProjectionLag]) -> Metric:
    """Of the failing ones only. A label is for a few values, so of the reason it has the kind of error."""
    text = "Position of the event at which it has stopped"
    family = GaugeMetricFamily("orders_projection_failed_position", text, labels=["projection", "reason"])
    for lag in lags:
        if lag.failed is not None:
            kind, _, _ = lag.failed.reason.partition(":")
            family.add_metric([lag.name, kind if kind.isidentifier() else "other"], lag.failed.position)
    return family
