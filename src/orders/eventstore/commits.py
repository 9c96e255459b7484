"""What the commits of a writer took, since it began."""

from __future__ import annotations

from msgspec import Struct

from orders.bounds import COMMIT_SECONDS, COMMIT_UNITS
from orders.distribution import Distribution


class CommitFailure(Struct, frozen=True):
    """`at_s` is of the monotonic clock."""

    reason: str
    at_s: float


class Commits:
    """Counted by the writer's thread, a few additions a commit. A commit that failed or was in doubt is counted by
    `failed` alone: its time says how long a database was away, not how long a commit takes."""

    def __init__(self) -> None:
        self.seconds = Distribution(COMMIT_SECONDS)
        self.units = Distribution(COMMIT_UNITS)
        self.failed = 0
        self.failure: CommitFailure | None = None
        """Of the last commit."""

    def done(self, units: int, seconds: float) -> None:
        self.seconds.observe(seconds)
        self.units.observe(units)
        self.failure = None

    def fail(self, reason: str, at_s: float) -> None:
        self.failed += 1
        self.failure = CommitFailure(reason, at_s)
