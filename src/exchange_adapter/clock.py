"""The adapter's clocks, handed in so that tests can turn them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from exchange_adapter.policy import Now


def _utc() -> datetime:
    return datetime.now(UTC)


class Clock(Struct, frozen=True):
    """`monotonic` is in seconds; the event loop waits on the same clock."""

    monotonic: Callable[[], float] = time.monotonic
    utc: Callable[[], datetime] = _utc

    def now(self) -> Now:
        return Now(self.monotonic(), self.utc())
