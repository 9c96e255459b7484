"""What the commits of a writer took, since it began."""

from __future__ import annotations

from orders.bounds import COMMIT_SECONDS, COMMIT_UNITS
from orders.distribution import Distribution


class Commits:
    """Counted by the writer's thread, a few additions a commit. A commit that failed or was in doubt is counted by
    `failed` alone: its time says how long a database was away, not how long a commit takes."""

    def __init__(self) -> None:
        self.seconds = Distribution(COMMIT_SECONDS)
        self.units = Distribution(COMMIT_UNITS)
        self.failed = 0

    def done(self, units: int, seconds: float) -> None:
        self.seconds.observe(seconds)
        self.units.observe(units)
