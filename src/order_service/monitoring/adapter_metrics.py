"""The exchange adapters in /metrics, as their tables tell."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from exchange_adapter.adapter_tables import AdapterFigures
from exchange_adapter.bounds import CALL_SECONDS
from order_service.monitoring.latest_figures import LatestFigures
from order_service.monitoring.metric_families import counters, gauge, gauges, histograms
from orders.eventstore.port import StoreUnavailable


class AdapterMetrics(Collector):
    """While the tables cannot be read, there are no values at all instead of old ones, and `orders_adapter_readable` is
    0. What an adapter counts since it began has its `worker` as a label: a new one with each start, so that a counter
    never goes back."""

    def __init__(
        self,
        registry: CollectorRegistry,
        read: Callable[[], Awaitable[AdapterFigures]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._latest = LatestFigures(read, StoreUnavailable, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    @property
    def figures(self) -> AdapterFigures | None:
        """As they were read last; None where the tables could not be."""
        return self._latest.value

    def collect(self) -> Iterator[Metric]:
        figures = self._latest.value
        yield gauge("orders_adapter_readable", "Whether the adapters' tables could be read", figures is not None)
        if figures is None:
            return
        yield gauges("orders_adapter_duties", "Open duties by delivery", "delivery", figures.duties)
        yield gauges("orders_alerts_open", "Open alerts by kind", "kind", figures.alerts)
        yield gauge("orders_adapter_workers", "Adapter processes that live", figures.workers)
        yield gauge("orders_adapter_calls_running", "Calls to the exchange within their time", figures.calls_running)
        yield gauge("orders_adapter_calls_hanging", "Calls to the exchange past their time", figures.calls_hanging)
        yield gauge("orders_adapter_breaker_open", "Adapters that leave the exchange alone", figures.breakers_open)
        yield gauge("orders_adapter_queues_consumed", "Queues of RabbitMQ with an adapter", figures.queues_consumed)
        yield gauge("orders_adapter_messages_in_hand", "Messages that wait for a turn", figures.messages_in_hand)
        yield from _counted(figures)


def _counted(figures: AdapterFigures) -> Iterator[Metric]:
    attempts = [((worker, outcome), count) for worker, of in figures.attempts.items() for outcome, count in of.items()]
    text = "Attempts to place an order, by what the call brought within its time"
    yield counters("orders_adapter_attempts_total", text, ("worker", "outcome"), attempts)
    seconds = [((worker,), observed) for worker, observed in figures.call_seconds.items()]
    text = "What calls to the exchange took, of every kind"
    yield histograms("orders_adapter_call_seconds", text, CALL_SECONDS, ("worker",), seconds)
    hints = [((worker,), count) for worker, count in figures.hints.items()]
    yield counters("orders_adapter_hints_total", "Orders that messages of RabbitMQ named", ("worker",), hints)
    undecodable = [((worker,), count) for worker, count in figures.undecodable.items()]
    text = "Messages of RabbitMQ that were put aside, as no work messages"
    yield counters("orders_adapter_undecodable_total", text, ("worker",), undecodable)
