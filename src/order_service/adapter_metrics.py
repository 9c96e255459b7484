"""The exchange adapters in /metrics, as their tables tell."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exchange_adapter.adapter_tables import AdapterFigures
from order_service.latest_figures import LatestFigures
from orders.eventstore.port import StoreUnavailable


class AdapterMetrics(Collector):
    """While the tables cannot be read, there are no values at all instead of old ones, and
    `orders_adapter_readable` is 0."""

    def __init__(
        self,
        registry: CollectorRegistry,
        read: Callable[[], Awaitable[AdapterFigures]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = LatestFigures(read, StoreUnavailable, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        figures = self._latest.value
        yield _gauge("orders_adapter_readable", "Whether the adapters' tables could be read", figures is not None)
        if figures is None:
            return
        yield _by("orders_adapter_duties", "Open duties by delivery", "delivery", figures.duties)
        yield _by("orders_alerts_open", "Open alerts by kind", "kind", figures.alerts)
        yield _gauge("orders_adapter_workers", "Adapter processes that live", figures.workers)
        yield _gauge("orders_adapter_calls_running", "Calls to the exchange within their time", figures.calls_running)
        yield _gauge("orders_adapter_calls_hanging", "Calls to the exchange past their time", figures.calls_hanging)
        yield _gauge("orders_adapter_breaker_open", "Adapters that leave the exchange alone", figures.breakers_open)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for labelled, value in values.items():
        family.add_metric([labelled], value)
    return family
