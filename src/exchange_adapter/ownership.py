"""Which shards of orders this process works on, and whether it reads the venue's reports.

Each is a session-level advisory lock on a connection of its own, so that it dies with the process. A process takes no
more than its share, and gives up what is more than that as soon as no turn runs there. The locks save work; safety
rests on the claims in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event

import psycopg
import structlog
from msgspec import Struct

from exchange_adapter.bounds import DATABASE_RETRY_S, OWNERSHIP_POLL_S, SHARING_POLL_S
from exchange_adapter.figures import Working
from exchange_adapter.sharing import share_of, surplus_of
from exchange_adapter.workers import LOCK_SPACE, Worker, Workers
from orders.eventstore.connections import BoundedConnection, connect, is_dead
from orders.eventstore.sql import load
from orders.shards import SHARDS

log = structlog.get_logger(__name__)

REPORTS_KEY = SHARDS  # after the shards' own keys

_SQL = load("exchange_adapter", "ownership.sql")


class Owned(Struct, frozen=True):
    """The shards in which turns may begin, and whether the venue's reports are this process' to read."""

    shards: frozenset[int] = frozenset()
    reports: bool = False


NOTHING = Owned()


class Ownership:
    """Holds this worker's share, and tells of the worker. Its callbacks are called from its thread:

    - `on_change(owned)`: from now on no turn begins in other shards
    - `working()`: how the worker does, once it has heard of the last change; None where it does not answer. Such a
      worker tells nothing of itself, and takes and gives up nothing
    - `other_pids()`: the backends of its other connections that may hold a lock
    """

    def __init__(
        self,
        direct_url: str,
        me: Worker,
        *,
        on_change: Callable[[Owned], None],
        working: Callable[[], Working | None],
        other_pids: Callable[[], Sequence[int]] = tuple,
        reports: bool,
    ) -> None:
        self.me = me
        self.on_change = on_change
        self.working = working
        self.other_pids = other_pids
        self.reports = reports
        self.leaving = Event()
        self._url = direct_url
        self._pause_s = DATABASE_RETRY_S[0]

    def leave(self) -> None:
        """No share from now on: others get each shard as soon as no turn runs there, before this process has ended."""
        self.leaving.set()

    def run(self, stop: Event) -> None:
        """Until `stop`; what is owned is given up then. Goes on by itself when the database was away."""
        while not stop.is_set():
            try:
                with connect(self._url, application_name="orders adapter locks", durable=False) as connection:
                    _Tenure(self, connection).hold(stop)
            except psycopg.Error as error:
                log.warning("shards cannot be owned", error=str(error).strip())
            stop.wait(self._pause_s)
            self._pause_s = min(self._pause_s * 2, DATABASE_RETRY_S[1])

    def worked(self) -> None:
        """The database takes what is told. A connection proves nothing: it may be read-only, or its disk full."""
        self._pause_s = DATABASE_RETRY_S[0]


class _Tenure:
    """What is owned by one connection, as long as it lives."""

    def __init__(self, ownership: Ownership, connection: BoundedConnection) -> None:
        self._ownership = ownership
        self._connection = connection
        self._workers = Workers(connection, ownership.me)
        self._held: frozenset[int] = frozenset()
        self._draining: frozenset[int] = frozenset()
        self._reports = False
        self._share = 0
        self._told = NOTHING

    def hold(self, stop: Event) -> None:
        """Raises psycopg.Error."""
        try:
            while not stop.is_set():
                self._beat()
                beat_at = time.monotonic() + OWNERSHIP_POLL_S
                while not stop.is_set() and time.monotonic() < beat_at:
                    self._balance()
                    self._rest(beat_at, stop)
        finally:
            self._ownership.on_change(NOTHING)  # before the locks end with the connection
        self._workers.remove()

    def _rest(self, beat_at: float, stop: Event) -> None:
        settled = len(self._held) == self._share
        stop.wait(max(0.0, beat_at - time.monotonic()) if settled else SHARING_POLL_S)
        if is_dead(self._connection):
            raise psycopg.OperationalError("the connection, and with it the locks, are lost")

    def _beat(self) -> None:
        """Tells of this worker, and counts who lives."""
        working = self._ownership.working()
        if working is None:
            log.warning("the adapter does not say how it does: it is too busy or stuck")
            return
        if self._ownership.leaving.is_set():
            self._workers.leave()
        else:
            self._workers.join()
        others = self._ownership.other_pids()
        self._workers.tell(self._held, working.figures, reports=self._reports, other_pids=others)
        self._share = share_of(self._ownership.me.name, self._workers.living(), SHARDS)
        self._share_reports()
        self._ownership.worked()

    def _share_reports(self) -> None:
        """They stay where they are; nobody gives them up to be fair."""
        if self._ownership.leaving.is_set():
            if self._reports:
                self._reports = False
                self._tell()
                self._give_up({REPORTS_KEY})
        elif self._ownership.reports and not self._reports:
            self._reports = bool(self._take({REPORTS_KEY}, 1))
            self._tell()

    def _balance(self) -> None:
        if len(self._held) > self._share:
            self._drain()
        else:
            self._draining = frozenset()
            self._tell()
        if len(self._held) < self._share:
            taken = self._take(set(range(SHARDS)) - self._held, self._share - len(self._held))
            if taken:
                self._held |= taken
                log.info("shards taken", taken=len(taken), owned=len(self._held), reports=self._reports)
                self._tell()

    def _drain(self) -> None:
        """Begins no turn in the shards that are too many, and gives up those in which none runs."""
        before = self._ownership.working()
        if before is None:
            return
        self._draining = surplus_of(self._held, self._share, draining=self._draining, busy=before.busy_shards)
        self._tell()
        told = self._ownership.working()
        if told is not None and (idle := self._draining - told.busy_shards):
            self._give_up(idle)
            self._held -= idle
            self._draining -= idle
            log.info("shards given up", given_up=len(idle), owned=len(self._held), draining=len(self._draining))

    def _tell(self) -> None:
        owned = Owned(self._held - self._draining, self._reports)
        if owned != self._told:
            self._told = owned
            self._ownership.on_change(owned)

    def _take(self, keys: set[int], most: int) -> frozenset[int]:
        wanted = {"keys": sorted(keys), "most": most, "space": LOCK_SPACE}
        return frozenset(key for (key,) in self._connection.execute(_SQL["take"], wanted))

    def _give_up(self, keys: set[int] | frozenset[int]) -> None:
        self._connection.execute(_SQL["give_up"], {"keys": sorted(keys), "space": LOCK_SPACE})
