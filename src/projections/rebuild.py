"""Query tables made anew from the log while the live ones go on, compared with them, and put in their place.

The shadow never goes ahead of the live tables until both were compared at one position: the live digest and position
are of one snapshot, and the shadow is filled to exactly there. The log is the truth: where the two differ, the rebuilt
tables take the place of the live ones all the same, and the difference is told.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from msgspec import Struct
from psycopg import Cursor, IsolationLevel

from orders.eventstore.connections import BoundedConnection, connect
from orders.eventstore.port import EventStore
from orders.eventstore.sql import load
from orders.follower import read_checkpoint
from projections.bounds import DIGEST_TIMEOUT_S, REBUILD_NEAR_EVENTS, REBUILD_TOLD_S, SWAP_EVENTS
from projections.digest import StateDigest, TableDigest, differing_tables, state_digest
from projections.errors import KeptForeign, NothingKept, RebuildRunning, TablesNotWhole
from projections.filling import FAST, POLITE, Filling, Found, Pace, drop_schema, found_schemas
from projections.projection import Projection
from projections.swap import as_of, kept_of, shadow_of, swap_in
from projections.tables import reached_by_whole

_SQL = load("projections", "rebuild.sql")

FILLING, COMPARING, SWAPPING = "filling", "comparing", "swapping"
"""What a rebuild is at, in this order; after the comparison it fills once more what came meanwhile."""


class Progress(Struct, frozen=True, kw_only=True):
    """`target` is where the log or the live tables are just now; both move."""

    projection: str
    phase: str
    position: int
    target: int
    events_per_s: float
    left_s: float | None


class Difference(Struct, frozen=True, kw_only=True):
    table: str
    live_rows: int
    rebuilt_rows: int


class Comparison(Struct, frozen=True, kw_only=True):
    """Live and rebuilt tables at one position. `equal` is None where they cannot be compared, for the reason given."""

    equal: bool | None
    position: int | None = None
    reason: str = ""
    differences: tuple[Difference, ...] = ()


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What came of it: the tables in `schema` hold the log up to `position`. `digest` is theirs where they were
    compared or filled as of a position, `tables` what it is made of."""

    projection: str
    schema: str
    position: int
    events: int
    resumed_at: int
    took_s: float
    digest: str | None = None
    tables: tuple[TableDigest, ...] = ()
    generation: int | None = None
    comparison: Comparison | None = None
    kept: str | None = None


Told = Callable[[Progress], None]


def _nothing(progress: Progress) -> None:
    pass


class Rebuild:
    """One at a time of a projection, under a lock of its own. Make it with `rebuilding`.

    Every method raises RebuildError, ProjectionError, EventStoreError or psycopg.Error with the live tables as they
    were, and the shadow where it was: calling it again goes on there. Only where psycopg.Error comes while it swaps,
    the swap may be done all the same: `generation_after_swap` tells.
    """

    def __init__(
        self,
        connection: BoundedConnection,
        projection: Projection,
        store: EventStore,
        stop: Event,
        told: Told,
        pace: Pace,
    ) -> None:
        self._connection = connection
        self._projection = projection
        self._store = store
        self._stop = stop
        self._told = told
        self._pace = pace
        self._began_at = time.monotonic()
        self._told_at = 0.0
        self._phase = FILLING
        self._target = 0

    def replay(self) -> Rebuilt:
        """Fills the shadow, compares, and swaps it in."""
        filling = self._filling(shadow_of(self._projection))
        began = filling.position
        self._catch_up(filling)
        comparison, digest = self._compare(filling)
        self._follow_to_head(filling)
        self._tell(filling, SWAPPING)
        drop_schema(self._connection, kept_of(self._projection), self._stop)
        generation = swap_in(filling, self._stop)
        return self._rebuilt(filling, began, digest=digest, comparison=comparison, generation=generation)

    def roll_back(self) -> Rebuilt:
        """Brings the kept tables to where the live ones are, and swaps them in. Raises NothingKept,
        KeptForeign and TablesNotWhole too: what cannot come back is not made anew here."""
        schema = kept_of(self._projection)
        found = self._found(schema)
        if found is None:
            raise NothingKept(self._projection.name)
        if found.fingerprint != self._projection.fingerprint:
            raise KeptForeign(self._projection.name)
        with self._connection.cursor() as cursor:
            reached_by_whole(cursor, self._projection, schema)
        filling = self._filling(schema)
        began = filling.position
        self._follow_to_head(filling)
        self._tell(filling, SWAPPING)
        return self._rebuilt(filling, began, generation=swap_in(filling, self._stop))

    def fill_as_of(self, position: int) -> Rebuilt:
        """Tables as they were after that position, beside the live ones, in the place of the last that were asked
        for."""
        filling = self._filling(as_of(self._projection), resume=False)
        self._target = position
        filling.advance(position, self._pace)
        self._tell(filling, COMPARING)
        return self._rebuilt(filling, 0, digest=self._digest(filling.schema))

    def drop_as_of(self) -> bool:
        """Whether there were any."""
        schema = as_of(self._projection)
        there = self._found(schema) is not None
        drop_schema(self._connection, schema, self._stop)
        return there

    def _filling(self, schema: str, *, resume: bool = True) -> Filling:
        def told() -> None:
            if time.monotonic() - self._told_at >= REBUILD_TOLD_S:
                self._tell(filling)

        filling = Filling(
            self._connection, self._projection, self._store, schema, stop=self._stop, told=told, resume=resume
        )
        return filling

    def _catch_up(self, filling: Filling) -> None:
        """To where the live tables are, or the end of the log where there are none."""
        before = None
        while (left := self._live_position() - filling.position) > 0:
            before = self._approach(filling, left, before)

    def _follow_to_head(self, filling: Filling) -> None:
        """So near to the end of the log that the swap itself does the rest."""
        self._phase = FILLING
        before = None
        while (left := self._store.head() - filling.position) > 0:
            before = self._approach(filling, left, before)
            if left <= SWAP_EVENTS:
                return

    def _approach(self, filling: Filling, left: int, before: int | None) -> int:
        """Fills what is left now; it hurries where that is little, or where the log grows as fast as it fills."""
        hurry = left <= REBUILD_NEAR_EVENTS or (before is not None and left > before / 2)
        self._target = filling.position + left
        filling.advance(self._target, FAST if hurry else self._pace)
        return left

    def _compare(self, filling: Filling) -> tuple[Comparison, StateDigest | None]:
        self._tell(filling, COMPARING)
        found = self._found(self._projection.schema)
        if found is None:
            return Comparison(equal=None, reason="there were no live tables"), None
        if found.fingerprint != self._projection.fingerprint:
            return Comparison(equal=None, reason="the live tables are those of another release"), None
        try:
            position, live = self._live_digest()
        except TablesNotWhole as error:
            return Comparison(equal=None, reason=str(error)), None
        if position > self._store.head():
            reason = f"the live tables say that they hold position {position}, beyond the log's end"
            return Comparison(equal=None, reason=reason), None
        if position < filling.position:
            return Comparison(equal=None, reason=f"the live tables are behind, at position {position}"), None
        self._target = position
        filling.advance(position, FAST)
        self._tell(filling, COMPARING)
        rebuilt = self._digest(filling.schema)
        differences = tuple(
            Difference(table=table, live_rows=live_rows, rebuilt_rows=rows)
            for table, live_rows, rows in differing_tables(live, rebuilt)
        )
        return Comparison(equal=not differences, position=position, differences=differences), rebuilt

    def _live_digest(self) -> tuple[int, StateDigest]:
        """Position and digest of one snapshot. It holds no lock that anyone waits for, and reads only."""
        connection = self._connection
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with long_statements(connection) as cursor:
                position = reached_by_whole(cursor, self._projection, self._projection.schema)
                return position, state_digest(cursor, self._projection.schema)
        finally:
            connection.isolation_level = None

    def _digest(self, schema: str) -> StateDigest:
        with long_statements(self._connection) as cursor:
            return state_digest(cursor, schema)

    def _live_position(self) -> int:
        """Where the live tables are; without any, the end of the log."""
        if self._found(self._projection.schema) is None:
            return self._store.head()
        checkpoint = read_checkpoint(self._connection, self._projection.name)
        return checkpoint.position if checkpoint else 0

    def _found(self, schema: str) -> Found | None:
        with self._connection.cursor() as cursor:
            return found_schemas(cursor, [schema]).get(schema)

    def _tell(self, filling: Filling, phase: str | None = None) -> None:
        self._phase = phase or self._phase
        self._told_at = time.monotonic()
        rate = filling.applied_events / max(self._told_at - self._began_at, 0.001)
        left = max(0, self._target - filling.position)
        self._told(
            Progress(
                projection=self._projection.name,
                phase=self._phase,
                position=filling.position,
                target=max(self._target, filling.position),
                events_per_s=round(rate, 1),
                left_s=round(left / rate, 3) if rate else None,
            )
        )

    def _rebuilt(
        self,
        filling: Filling,
        resumed_at: int,
        *,
        digest: StateDigest | None = None,
        generation: int | None = None,
        comparison: Comparison | None = None,
    ) -> Rebuilt:
        kept = kept_of(self._projection)
        return Rebuilt(
            projection=self._projection.name,
            schema=filling.schema,
            position=filling.position,
            events=filling.applied_events,
            resumed_at=resumed_at,
            took_s=round(time.monotonic() - self._began_at, 3),
            digest=digest.hex if digest else None,
            tables=digest.tables if digest else (),
            generation=generation,
            comparison=comparison,
            kept=kept if generation is not None and self._found(kept) else None,
        )


@contextmanager
def rebuilding(
    projection: Projection,
    store: EventStore,
    direct_url: str,
    *,
    stop: Event | None = None,
    told: Told = _nothing,
    pace: Pace = POLITE,
    by: str = "orders replay",
) -> Iterator[Rebuild]:
    """The right to rebuild the projection, for the time of the block. `by` is told to whoever comes second.

    `direct_url` leads to the database without a pooler: the lock is the session's. Raises RebuildRunning,
    psycopg.Error.
    """
    name = f"{by} (pid {os.getpid()} on {socket.gethostname()})"[:63]
    # What is filled can be filled again; a swap's own commit waits for the disk.
    with connect(direct_url, application_name=name, durable=False) as connection:
        if not connection.execute(_SQL["try_lock"], [projection.name]).fetchall()[0][0]:
            holder = connection.execute(_SQL["holder"], [projection.name]).fetchone()
            raise RebuildRunning(projection.name, *(holder or ("another process",)))
        yield Rebuild(connection, projection, store, stop or Event(), told, pace)


@contextmanager
def long_statements(connection: BoundedConnection) -> Iterator[Cursor[Any]]:
    """A transaction in which a statement may take as long as a digest does."""
    usual_s = connection.answer_within_s
    connection.answer_within_s = DIGEST_TIMEOUT_S + usual_s
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(_SQL["bound_digest"], [f"{round(DIGEST_TIMEOUT_S * 1000)}ms"])
            yield cursor
    finally:
        connection.answer_within_s = usual_s
