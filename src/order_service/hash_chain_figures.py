"""How far the hash chain reaches, in /metrics."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from order_service.latest_figures import LatestFigures
from orders.hash_chain import READ_HEAD
from projections.errors import ReadError


class HashChainMetrics(Collector):
    """`rows(statement)` asks the database. While it does not answer, there is no value at all instead of an old one."""

    def __init__(
        self,
        registry: CollectorRegistry,
        rows: Callable[[str], Awaitable[list[tuple[Any, ...]]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        async def position() -> int:
            found = await rows(READ_HEAD)
            return int(found[0][0]) if found else 0

        self._latest = LatestFigures(position, ReadError, clock=clock)
        self.refresh = self._latest.refresh
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "orders_hash_chain_position", "Position of the log up to which the hash chain reaches"
        )
        if self._latest.value is not None:
            family.add_metric([], self._latest.value)
        yield family
