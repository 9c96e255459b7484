"""The list of adapter processes: each tells of itself about once a second, and sees who else lives.

A worker lives while its connection holds a lock that all share; so one that died is gone at once. One whose process is
frozen keeps its locks: who has not told of itself for FROZEN_AFTER_BEATS of ours has its connections ended. Times are
the database's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
import psycopg
import structlog
from msgspec import Struct

from exchange_adapter.bounds import FORGET_WORKER_S
from exchange_adapter.figures import Figures
from exchange_adapter.sharing import Heartbeats
from orders.eventstore.connections import BoundedConnection
from orders.eventstore.sql import load
from orders.shards import SHARDS

log = structlog.get_logger(__name__)

LOCK_SPACE = 0x65786368  # "exch": keeps our locks apart from others' in the same database
LIVING_KEY = 2 * SHARDS  # clear of the shards' keys and of their neighbours

_SQL = load("exchange_adapter", "workers.sql")


class Worker(Struct, frozen=True):
    """`name` is fresh for each process start; workers of one `venue` share its orders."""

    name: str
    venue: str


class Workers:
    """For the thread of one connection, which holds the worker's locks. Its methods raise psycopg.Error."""

    def __init__(self, connection: BoundedConnection, me: Worker) -> None:
        self._connection = connection
        self._me = me
        self._heartbeats = Heartbeats()
        self._joined = False
        self._given_up: set[str] = set()
        """Frozen ones that could not be ended, as it was logged."""

    def join(self) -> None:
        """From now on others count on this worker."""
        if not self._joined:
            self._connection.execute(_SQL["join"], self._keys())
            self._joined = True

    def leave(self) -> None:
        """It takes no share any more; what it holds, it still holds."""
        if self._joined:
            self._connection.execute(_SQL["leave"], self._keys())
            self._joined = False

    def tell(self, shards: Collection[int], figures: Figures, *, reports: bool, other_pids: Sequence[int]) -> None:
        told = {
            "worker": self._me.name,
            "venue": self._me.venue,
            "shards": sorted(shards),
            "reports": reports,
            "other_pids": list(other_pids),
            "figures": msgspec.json.encode(figures).decode(),
        }
        self._connection.execute(_SQL["tell"], told)

    def living(self) -> list[str]:
        """The venue's workers that take a share, in the order in which they came. To be asked once a beat: those that
        have been silent for too many are ended, and forgotten."""
        connected = self._connection.execute(_SQL["connected"], {**self._keys(), "venue": self._me.venue}).fetchall()
        self._end_frozen({worker: seen_at for worker, seen_at, _ in connected if worker != self._me.name})
        self._connection.execute(_SQL["forget"], {**self._keys(), "after_s": FORGET_WORKER_S})
        return [worker for worker, _, living in connected if living]

    def remove(self) -> None:
        """Off the list, at a clean stop."""
        self._connection.execute(_SQL["remove"], {"worker": self._me.name})

    def _end_frozen(self, seen: dict[str, datetime]) -> None:
        frozen = self._heartbeats.silent(seen)
        self._given_up &= frozen.keys()
        for worker, seen_at in frozen.items():
            try:
                ended = self._connection.execute(_SQL["end_frozen"], {"worker": worker, "seen_at": seen_at}).fetchall()
            except psycopg.errors.InsufficientPrivilege:
                ended = []
            if ended:
                log.warning("a frozen adapter's locks are taken from it", worker=worker, seen_at=str(seen_at))
            elif worker not in self._given_up:
                self._given_up.add(worker)
                log.warning("a frozen adapter keeps its shards: this role may not end its connections", worker=worker)

    def _keys(self) -> dict[str, Any]:
        return {"space": LOCK_SPACE, "living": LIVING_KEY}
