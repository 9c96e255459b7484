"""Filling the tables of one schema from the log, beside the live ones, at a pace that leaves room for queries.

How far the tables are stands in their own schema, in the transaction of each batch: who is interrupted goes on there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import Cursor, sql

from orders.eventstore.connections import BoundedConnection
from orders.eventstore.port import BrokenLog, EventStore, Recorded
from orders.eventstore.sql import load
from orders.eventstore.subscription import MemoryHints, Subscription
from orders.follower import TIMEOUTS
from projections.bounds import (
    DROP_TRIES,
    REBUILD_BATCH_EVENTS,
    REBUILD_DUTY,
    REBUILD_PAUSE_S,
    REBUILD_POLITE_EVENTS,
    REBUILD_SLOW_S,
    SWAP_LOCK_TIMEOUT_S,
    SWAP_PAUSE_S,
)
from projections.errors import ProjectionError, RebuildStopped, StepFailed, TablesInUse, TablesNotWhole
from projections.projection import Projection
from projections.tables import apply_to, create_schema, reached_by_whole

_SQL = load("projections", "rebuild.sql")


class Pace(Struct, frozen=True):
    """`duty` is the share of the time in which it works; the rest is left to others, after so many events at most."""

    duty: float
    batch_events: int


POLITE = Pace(REBUILD_DUTY, REBUILD_POLITE_EVENTS)
FAST = Pace(1.0, REBUILD_BATCH_EVENTS)


class Found(Struct, frozen=True):
    """A set of tables as it is in the database."""

    schema: str
    fingerprint: str | None
    size_bytes: int


def found_schemas(cursor: Cursor[Any], names: list[str]) -> dict[str, Found]:
    """Those of the schemas that are there."""
    rows = cursor.execute(_SQL["schemas"], [names]).fetchall()
    return {name: Found(name, fingerprint, size_bytes) for name, fingerprint, size_bytes in rows}


def drop_schema(connection: psycopg.Connection[Any], schema: str, stop: Event) -> None:
    """Nothing new reads these tables; a query that still does is waited for. Raises TablesInUse, RebuildStopped."""
    for _ in range(DROP_TRIES):
        try:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.execute(_SQL["bound_drop"], [f"{round(SWAP_LOCK_TIMEOUT_S * 1000)}ms"])
                cursor.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
            return
        except psycopg.errors.LockNotAvailable:
            if stop.wait(SWAP_PAUSE_S):
                raise RebuildStopped from None
    raise TablesInUse(schema)


class Filling:
    """The tables in `schema`: those of this release that an interrupted run left, where `resume`, else new ones.

    `told` is called after each batch. Setting `stop` raises RebuildStopped after a batch.
    """

    def __init__(
        self,
        connection: BoundedConnection,
        projection: Projection,
        store: EventStore,
        schema: str,
        *,
        stop: Event,
        told: Callable[[], None],
        resume: bool = True,
    ) -> None:
        self.connection = connection
        self.projection = projection
        self.schema = schema
        self.position = 0
        self.applied_events = 0
        self._store = store
        self._stop = stop
        self._told = told
        self._batch_events = REBUILD_BATCH_EVENTS
        self._open(resume)

    def _open(self, resume: bool) -> None:
        if resume and self._resume():
            return
        drop_schema(self.connection, self.schema, self._stop)
        with self.connection.transaction(), self.connection.cursor() as cursor:
            create_schema(cursor, self.projection, self.schema)

    def _resume(self) -> bool:
        """Whether there is something to go on with."""
        with self.connection.cursor() as cursor:
            found = found_schemas(cursor, [self.schema]).get(self.schema)
            if found is None or found.fingerprint != self.projection.fingerprint:
                return False
            try:
                self.position = reached_by_whole(cursor, self.projection, self.schema)
            except TablesNotWhole:
                return False
        return True

    def advance(self, to: int, pace: Pace) -> None:
        """Up to exactly that position of the log.

        Raises: RebuildStopped, ProjectionError, EventStoreError, psycopg.Error.
        """
        subscription = self._subscription()
        while self.position < to:
            began_at = time.monotonic()
            most = min(self._batch_events, pace.batch_events)
            batch = self._next(subscription, min(most, to - self.position))
            if not self._apply(batch):
                subscription = self._subscription()  # what was handed out is to be handed out again
            self._told()
            self._rest(time.monotonic() - began_at, pace)

    def apply_rest(self, cursor: Cursor[Any], to: int) -> None:
        """The few events up to a position, in the cursor's transaction. Where that commits, call `moved`."""
        subscription = self._subscription()
        while subscription.position < to:
            self._write(cursor, self._next(subscription, to - subscription.position))

    def moved(self, schema: str, position: int) -> None:
        """The tables are in another schema now, and stand there."""
        self.applied_events += position - self.position
        self.schema, self.position = schema, position

    def _subscription(self) -> Subscription:
        return Subscription(self._store, after=self.position, hints=MemoryHints())

    def _next(self, subscription: Subscription, limit: int) -> list[Recorded]:
        batch = subscription.next_batch(0, limit=limit)
        if not batch:
            raise BrokenLog(f"the log ends at position {subscription.position}, before the query tables")
        return batch

    def _apply(self, batch: list[Recorded]) -> bool:
        """Whether it was applied; what took too long is tried again in smaller batches."""
        began_at = time.monotonic()
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                self._write(cursor, batch)
        except psycopg.Error as error:
            if error.sqlstate not in TIMEOUTS or len(batch) == 1 or self.connection.closed:
                raise
            self._batch_events = max(1, len(batch) // 2)
            return False
        self.position = batch[-1].position
        self.applied_events += len(batch)
        self._adapt(len(batch), time.monotonic() - began_at)
        return True

    def _write(self, cursor: Cursor[Any], batch: list[Recorded]) -> None:
        try:
            apply_to(cursor, self.projection, self.schema, batch)
        except (psycopg.Error, ProjectionError):
            raise
        except Exception as error:  # a projection is anyone's plug-in: what it raises is told as its own failure
            raise StepFailed(batch[0].position, batch[-1].position, error) from error

    def _adapt(self, events: int, took_s: float) -> None:
        if took_s > REBUILD_SLOW_S:
            self._batch_events = max(1, events // 2)
        elif took_s < REBUILD_SLOW_S / 4:
            self._batch_events = min(REBUILD_BATCH_EVENTS, max(self._batch_events, events * 2))

    def _rest(self, worked_s: float, pace: Pace) -> None:
        pause_s = min(REBUILD_PAUSE_S, worked_s * (1 - pace.duty) / pace.duty)
        if self._stop.wait(pause_s) if pause_s > 0 else self._stop.is_set():
            raise RebuildStopped
