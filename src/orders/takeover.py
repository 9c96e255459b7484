"""Taking over from a process that is frozen, or whose machine is gone: its session, and with it its lock, lives on.

Who holds such a lock lets its session be heard of every FOLLOWER_BEAT_S. Who stands by looks at when that was,
and ends the session once it has seen the same moment for FOLLOWER_SILENT_S by its own clock: after a database that
stood still, nobody looks dead at once. It is about work only: the frozen one writes nothing when it wakes, since its
session is gone and the checkpoint has moved.
"""

from __future__ import annotations

import logging
import time

from orders.bounds import FOLLOWER_SILENT_S
from orders.eventstore.connections import BoundedConnection
from orders.eventstore.sql import load

log = logging.getLogger(__name__)

SQL = load("orders", "takeover.sql")


class Takeover:
    """One who stands by for a lock: `pg_try_advisory_lock(hashtextextended(lock, 0))`, held by a session."""

    def __init__(self, lock: str) -> None:
        self._lock = lock
        self._seen: object = None
        self._since = 0.0

    def look(self, connection: BoundedConnection) -> None:
        """Ends the holder's session where it is silent. Raises psycopg.Error."""
        now = time.monotonic()
        holder = connection.execute(SQL["holder"], [self._lock]).fetchone()
        if holder is None or holder != self._seen:
            self._seen, self._since = holder, now
        elif now - self._since >= FOLLOWER_SILENT_S:
            self._since = now
            if connection.execute(SQL["end_holder"], holder).fetchone() is not None:
                log.warning("%s: whoever held it is silent, and its session was ended", self._lock)
