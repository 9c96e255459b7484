"""Figures that are kept elsewhere, as families of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from orders.distribution import Observed

Labels = Sequence[str]


def gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for labelled, value in values.items():
        family.add_metric([labelled], value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """`name` ends in _total."""
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for labelled, value in values:
        family.add_metric(labelled, value)
    return family


def histogram(name: str, text: str, bounds: Sequence[float], observed: Observed) -> Metric:
    return histograms(name, text, bounds, (), [((), observed)])


def histograms(
    name: str, text: str, bounds: Sequence[float], labels: Labels, values: Iterable[tuple[Labels, Observed]]
) -> Metric:
    """What was observed with other bounds, as by a process of another release, is left out."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for labelled, observed in values:
        if len(observed.counts) == len(bounds) + 1:
            family.add_metric(labelled, list(_buckets(bounds, observed)), observed.total)
    return family


def _buckets(bounds: Sequence[float], observed: Observed) -> Iterator[tuple[str, float]]:
    names = [*map(floatToGoString, bounds), "+Inf"]
    return zip(names, accumulate(observed.counts), strict=True)
