"""Workers that own shards as an adapter does, without orders: each in a thread, on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from exchange_adapter.figures import Attempts, Figures, Working
from exchange_adapter.ownership import NOTHING, Owned, Ownership
from exchange_adapter.workers import Worker
from orders.shards import SHARDS

FIGURES = Figures(
    calls_running=3,
    calls_hanging=0,
    calls_limit=500,
    breaker_open_s=None,
    duties=4,
    turns_running=3,
    turns_ended=9,
    attempts=Attempts(placed=5, unknown=1),
)


class ShardOwner:
    """`owned` is what it was told last; `busy` are the shards in which a turn of it runs."""

    def __init__(self, floor: ShardFloor, name: str) -> None:
        self.owned = NOTHING
        self.busy: frozenset[int] = frozenset()
        self.answers = True
        self.stop = threading.Event()
        self._floor = floor
        self.ownership = Ownership(
            floor.database_url,
            Worker(name, floor.venue),
            on_change=partial(floor.told, self),
            working=self._working,
            reports=True,
        )
        self._thread = threading.Thread(target=self.ownership.run, args=(self.stop,))

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _working(self) -> Working | None:
        return Working(self.busy, FIGURES) if self.answers else None


class ShardFloor:
    """All owners of a venue. `conflicts` are the shards that two owned at a time, turns that still ran included."""

    def __init__(self, database_url: str, venue: str = "v") -> None:
        self.database_url = database_url
        self.venue = venue
        self.owners: list[ShardOwner] = []
        self.conflicts: set[int] = set()
        self.moves = 0
        self._lock = threading.Lock()
        self._names = 0

    def told(self, owner: ShardOwner, owned: Owned) -> None:
        with self._lock:
            for other in self.owners:
                if other is not owner:
                    self.conflicts |= owned.shards & (other.owned.shards | other.busy)
            owner.owned = owned
            self.moves += 1

    def join(self) -> ShardOwner:
        self._names += 1
        owner = ShardOwner(self, f"worker-{self._names}")
        with self._lock:
            self.owners.append(owner)
        owner.start()
        return owner

    def end(self, owner: ShardOwner) -> None:
        owner.end()
        with self._lock:
            self.owners.remove(owner)

    @property
    def counts(self) -> list[int]:
        return [len(owner.owned.shards) for owner in self.owners]

    def is_fair(self) -> bool:
        """Every shard has an owner, none owns two more than another, and one reads the reports."""
        readers = sum(owner.owned.reports for owner in self.owners)
        return sum(self.counts) == SHARDS and max(self.counts) - min(self.counts) <= 1 and readers == 1


@contextmanager
def shard_floor(database_url: str) -> Iterator[ShardFloor]:
    """Ends the owners that are left."""
    floor = ShardFloor(database_url)
    try:
        yield floor
    finally:
        for owner in list(floor.owners):
            floor.end(owner)
