"""What the simulated exchange's journal says while it is being written: who was placed when, and each order's story."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec
from msgspec import Struct

from load.resting_orders import CANCEL, Story
from simulated_exchange.entries import Entry
from simulated_exchange.protocol import AcceptedReport, CanceledReport, ReplacedReport

_decoder = msgspec.json.Decoder(Entry)


class Pace(Struct, frozen=True):
    """How a backlog was worked off: `orders` of it, `placed` in all from its first to its last, new orders included.
    Times in seconds since 1970."""

    orders: int
    placed: int
    first_at: float
    last_at: float

    @property
    def per_second(self) -> float:
        return (self.placed - 1) / (self.last_at - self.first_at) if self.last_at > self.first_at else 0.0


class VenueJournal:
    def __init__(self, path: Path) -> None:
        self.placed_at: dict[str, float] = {}
        self.stories: dict[str, Story] = {}
        self.path = path
        self._offset = 0

    def read(self) -> None:
        """Takes in the whole lines that were written since the last time."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        for line in lines[1:] if self._offset == 0 else lines:  # the first one names the journal
            self._take(_decoder.decode(line))
        self._offset += len(whole)

    def missing(self, order_ids: Collection[str]) -> set[str]:
        """Those that were never placed."""
        return {order_id for order_id in order_ids if order_id not in self.placed_at}

    def pace(self, backlog: Collection[str]) -> Pace | None:
        """None where none of them was placed."""
        times = [self.placed_at[order_id] for order_id in backlog if order_id in self.placed_at]
        if not times:
            return None
        first_at, last_at = min(times), max(times)
        placed = sum(first_at <= at <= last_at for at in self.placed_at.values())
        return Pace(len(times), placed, first_at, last_at)

    def _take(self, entry: Entry) -> None:
        for report in entry.reports:
            match report:
                case AcceptedReport():
                    self.placed_at[report.order_id] = entry.at / 1_000_000
                    self.stories.setdefault(report.order_id, []).append(report.quantity)
                case ReplacedReport():
                    self.stories.setdefault(report.order_id, []).append(report.quantity)
                case CanceledReport():
                    self.stories.setdefault(report.order_id, []).append(CANCEL)
