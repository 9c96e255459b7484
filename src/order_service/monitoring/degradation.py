"""What does not keep an API process from serving, and that a person should know all the same.

Orders are accepted and kept while no adapter runs or the exchange is down, so these are no reasons for a balancer to
turn clients away: /health/ready stays 200 and names them under `degraded`.
"""

from __future__ import annotations

from collections.abc import Collection

from order_service.bounds import READY_LAG_S
from order_service.monitoring.adapter_metrics import AdapterMetrics
from order_service.monitoring.follower_figures import FollowerFigures


class Degradation:
    """Asks the figures of /metrics, which are read at most every FIGURES_CACHE_S. Where they cannot be read, nothing is
    said here: a database that does not answer is a reason not to be ready."""

    def __init__(self, adapters: AdapterMetrics, followers: FollowerFigures, judged_by_others: Collection[str]) -> None:
        """`judged_by_others` are the followers that another check looks at."""
        self._adapters = adapters
        self._followers = followers
        self._judged_by_others = frozenset(judged_by_others)

    async def of_adapters(self) -> str | None:
        await self._adapters.refresh()
        figures = self._adapters.figures
        if figures is None:
            return None
        if not figures.workers:
            return "no adapter runs: orders are accepted, and wait"
        if figures.breakers_open:
            adapters = f"{figures.breakers_open} of {figures.workers} adapters make"
            return f"the exchange fails at every call: {adapters} none but a probe now and then, and orders wait"
        return None

    async def of_followers(self) -> str | None:
        await self._followers.refresh()
        behind = [
            f"{lag.follower} is {lag.lag_events} events behind the log, the oldest {lag.lag_s:.0f} s old"
            for lag in self._followers.lags
            if lag.lag_s > READY_LAG_S and lag.follower not in self._judged_by_others
        ]
        return "; ".join(behind) or None
