"""What an API process shows of itself in /metrics: its appends, and the clients of its feed."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from prometheus_client.core import Metric

from order_service.monitoring.metric_families import counter, gauge, gauges, histogram
from order_service.monitoring.metrics import Metrics
from orders.bounds import COMMIT_SECONDS, COMMIT_UNITS
from orders.eventstore.group_commit import Writer
from orders.eventstore.live_log import LiveLog
from projections.feed_hub import FeedHub


def observe_api(metrics: Metrics, writer: Writer, live: LiveLog, hub: FeedHub) -> None:
    metrics.sample(partial(gauges, "orders_build", "The release that runs", "version", {version("order-service"): 1}))
    metrics.sample(
        lambda: gauge("orders_appends_queued", "Commands that wait to be made durable", writer.queued),
        lambda: gauge(
            "orders_committed_position", "Highest position that this process committed", writer.last_position
        ),
        lambda: gauge("orders_log_position", "Position up to which the live log was handed out", live.position),
        lambda: counter("orders_commits_failed_total", "Commits that failed or are in doubt", writer.commits.failed),
        partial(_commit_seconds, writer),
        partial(_commit_units, writer),
    )
    metrics.sample(
        lambda: gauge("orders_feed_clients", "Clients of the feed now", hub.clients),
        lambda: counter(
            "orders_feed_closed_slow_total", "Clients of the feed closed for reading too slowly", hub.closed_slow
        ),
    )


def _commit_seconds(writer: Writer) -> Metric:
    text = "What a commit of the log took, from the writer to the disk and back"
    return histogram("orders_commit_seconds", text, COMMIT_SECONDS, writer.commits.seconds.observed())


def _commit_units(writer: Writer) -> Metric:
    text = "Commands that shared a commit"
    return histogram("orders_commit_commands", text, COMMIT_UNITS, writer.commits.units.observed())
