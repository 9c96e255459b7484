"""Which shards of orders this process works on, and whether it reads the venue's reports.

Each is a session-level advisory lock on a connection of its own, so that it dies with the process. The locks save work;
safety rests on the claims in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import psycopg
import structlog
from msgspec import Struct

from exchange_adapter.bounds import DATABASE_RETRY_S, OWNERSHIP_POLL_S, SHARDS
from orders.eventstore.connections import BoundedConnection, connect, is_dead
from orders.eventstore.sql import load

log = structlog.get_logger(__name__)

LOCK_SPACE = 0x65786368  # "exch": keeps our locks apart from others' in the same database
REPORTS_KEY = SHARDS  # after the shards' own keys

_SQL = load("exchange_adapter", "ownership.sql")


class Owned(Struct, frozen=True):
    shards: frozenset[int] = frozenset()
    reports: bool = False


NOTHING = Owned()


class Ownership:
    """Takes all that is free, and looks for what becomes free. `on_change` is called from its thread."""

    def __init__(self, direct_url: str, on_change: Callable[[Owned], None], *, reports: bool) -> None:
        self._url = direct_url
        self._on_change = on_change
        self._wanted = frozenset(range(SHARDS)) | ({REPORTS_KEY} if reports else frozenset())

    def run(self, stop: Event) -> None:
        """Until `stop`; what is owned is given up then. Goes on by itself when the database was away."""
        pause_s = DATABASE_RETRY_S[0]
        while not stop.is_set():
            try:
                with connect(self._url, application_name="orders adapter locks") as connection:
                    pause_s = DATABASE_RETRY_S[0]
                    self._hold(connection, stop)
            except psycopg.Error as error:
                log.warning("shards cannot be owned", error=str(error).strip())
            finally:
                self._on_change(NOTHING)
            stop.wait(pause_s)
            pause_s = min(pause_s * 2, DATABASE_RETRY_S[1])

    def _hold(self, connection: BoundedConnection, stop: Event) -> None:
        held: frozenset[int] = frozenset()
        while not stop.is_set():
            wanted = {"keys": sorted(self._wanted - held), "space": LOCK_SPACE}
            taken = [key for (key,) in connection.execute(_SQL["take"], wanted)]
            if taken:
                held = held.union(taken)
                log.info("shards taken", taken=len(taken), owned=len(held - {REPORTS_KEY}), reports=REPORTS_KEY in held)
                self._on_change(Owned(held - {REPORTS_KEY}, REPORTS_KEY in held))
            stop.wait(OWNERSHIP_POLL_S)
            if is_dead(connection):
                raise psycopg.OperationalError("the connection, and with it the locks, are lost")
