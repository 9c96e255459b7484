"""The query parameters of reads."""

from __future__ import annotations

from orders.parameters import Parameters
from projections.bounds import MAX_WAIT_MS
from projections.queries import Asked


class ReadParameters(Parameters):
    def asked(self) -> Asked:
        """min_position and wait_ms, which every read takes."""
        min_position = self.position("min_position")
        wait_ms = self.number("wait_ms", 0, MAX_WAIT_MS)
        return Asked(min_position=min_position, wait_ms=MAX_WAIT_MS if wait_ms is None else wait_ms)
