"""The live query tables against a fresh fold of the log up to the same position, row by row.

The log is folded into tables of their own, by the projection's own step, to close behind the live tables. Then one
snapshot holds both: its transaction reads where the live tables are, folds the few events up to there, and compares. It
takes long where the tables are large, which is no harm: it writes nothing that anybody else has, and it takes no lock
that a follower, a query or a swap waits for. (The bound of 5 s is for transactions that others wait for.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from threading import Event
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import Cursor, IsolationLevel

from orders.eventstore.connections import BoundedConnection, connect
from orders.eventstore.port import BrokenLog, EventStore, EventStoreError, UnknownEvent
from orders.eventstore.sql import load
from orders.log_check.progress import Progress
from projections.bounds import VERIFY_NEAR_EVENTS, VERIFY_TRIES
from projections.errors import ProjectionError, RebuildError, TablesInUse, TablesNotWhole, VerifyRunning
from projections.filling import FAST, Filling, drop_schema, found_schemas
from projections.projection import Projection
from projections.rebuild import long_statements
from projections.registry import PROJECTIONS
from projections.row_comparison import RowComparison, RowFinding, Table, What
from projections.tables import reached, reached_by_whole

_SQL = load("projections", "verification.sql")


class Verified(Struct, frozen=True, kw_only=True):
    """The tables hold the log up to `position`; `number` counts the findings, of which the first are here."""

    projection: str
    position: int
    rows: int
    findings: Sequence[RowFinding]
    number: int


class _Swapped(Exception):
    """Other tables have taken the place of the live ones meanwhile."""


@contextmanager
def verifying(direct_url: str, store: EventStore, progress: Progress) -> Iterator[Verification]:
    """The right to verify, for the time of the block; what a killed one has left goes at its start.

    `direct_url` leads to the database without a pooler: the lock is the session's. Raises VerifyRunning, psycopg.Error.
    """
    with connect(direct_url, application_name="orders verify") as connection:
        if not connection.execute(_SQL["try_lock"]).fetchall()[0][0]:
            raise VerifyRunning
        try:
            names = [_scratch_of(projection) for projection in PROJECTIONS]
            for (schema,) in connection.execute(_SQL["leftovers"], [names]).fetchall():
                with suppress(TablesInUse):  # who compares this projection says so
                    drop_schema(connection, schema, Event())
            yield Verification(connection, store, progress)
        finally:
            with suppress(psycopg.Error):  # then the server notices the end of the session by itself, if later
                connection.execute(_SQL["unlock"])


def _scratch_of(projection: Projection) -> str:
    """No projection's name ends like this, so that these are nobody's live tables."""
    return f"{projection.schema}_verify"


class Verification:
    """Make it with `verifying`."""

    def __init__(self, connection: BoundedConnection, store: EventStore, progress: Progress) -> None:
        self._connection = connection
        self._store = store
        self._progress = progress

    def verify(self, projection: Projection) -> Verified:
        """What keeps it from being compared is a finding too: what was found elsewhere is not to be lost by it."""
        try:
            return self._verified(projection)
        except TablesNotWhole as error:
            return _not_so(projection, "broken_tables", str(error))
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            return _not_so(projection, "broken_tables", f"its tables are not whole: {error.diag.message_primary}")
        except (ProjectionError, UnknownEvent, BrokenLog, psycopg.IntegrityError, psycopg.DataError) as error:
            return _not_so(projection, "cannot_fold", f"the log cannot be folded into its tables: {_line(error)}")
        except (RebuildError, EventStoreError, psycopg.Error) as error:
            return _not_so(projection, "not_compared", f"its tables could not be compared: {_line(error)}")

    def _verified(self, projection: Projection) -> Verified:
        with self._connection.cursor() as cursor:
            found = found_schemas(cursor, [projection.schema]).get(projection.schema)
            if found is None and not self._store.head():
                return Verified(projection=projection.name, position=0, rows=0, findings=(), number=0)
            if found is None:
                return _not_so(projection, "missing_tables", "it has no tables yet")
            if found.fingerprint != projection.fingerprint:
                return _not_so(projection, "foreign_tables", "its tables are those of another release")
            reached_by_whole(cursor, projection, projection.schema)
        for _ in range(VERIFY_TRIES):
            try:
                return self._compared(projection)
            except _Swapped:
                continue
        text = f"other tables took the place of its own {VERIFY_TRIES} times while they were compared"
        return _not_so(projection, "not_compared", text)

    def _compared(self, projection: Projection) -> Verified:
        schema = _scratch_of(projection)
        filling = Filling(
            self._connection,
            projection,
            self._store,
            schema,
            stop=Event(),
            told=lambda: self._progress.at(filling.position),
            resume=False,
        )
        try:
            verified = None
            while verified is None:
                self._follow(filling, projection)
                verified = self._compare(filling, projection)
            return verified
        finally:
            with suppress(TablesInUse, psycopg.Error):  # an autovacuum has it: what is left goes at the next start
                drop_schema(self._connection, schema, Event())

    def _follow(self, filling: Filling, projection: Projection) -> None:
        """To so near behind the live tables that the rest is folded at once."""
        self._progress.begin(f"{projection.name}: fold", self._live_position(projection))
        while (position := self._live_position(projection)) - filling.position > VERIFY_NEAR_EVENTS:
            filling.advance(position, FAST)

    def _live_position(self, projection: Projection) -> int:
        with self._connection.cursor() as cursor:
            position = reached(cursor, projection.schema)
        if position < 0:
            raise TablesNotWhole(projection.schema, f"its table reached says position {position}")
        return position

    def _compare(self, filling: Filling, projection: Projection) -> Verified | None:
        """None where the live tables have gone on too far meanwhile."""
        tables = self._tables(filling.schema)
        names = ["reached", *(table.name for table in tables)]
        with self._snapshot() as cursor:
            identity = _identity(cursor, projection.schema, names)
            try:
                position = reached(cursor, projection.schema)
            except TablesNotWhole:  # made after the snapshot
                raise _Swapped from None
            if position < filling.position:
                raise _Swapped
            if position - filling.position > VERIFY_NEAR_EVENTS:
                return None
            self._progress.begin(f"{projection.name}: compare", len(tables))
            filling.apply_rest(cursor, position)
            comparison = RowComparison(cursor, projection, filling.schema)
            comparison.checkpoint(position)
            for number, (table, oid) in enumerate(zip(tables, identity[1:], strict=True), 1):
                comparison.table(table, is_there=oid is not None)
                self._progress.at(number)
            if _identity(cursor, projection.schema, names) != identity:
                raise _Swapped
        return Verified(
            projection=projection.name,
            position=position,
            rows=comparison.rows,
            findings=comparison.findings,
            number=comparison.number,
        )

    def _tables(self, schema: str) -> list[Table]:
        rows = self._connection.execute(_SQL["columns"], [schema]).fetchall()
        return [
            Table(name, [column for _, column, in_key in columns if in_key], [column for _, column, _ in columns])
            for name, found in groupby(rows, key=lambda row: str(row[0]))
            for columns in [list(found)]
        ]

    @contextmanager
    def _snapshot(self) -> Iterator[Cursor[Any]]:
        self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with long_statements(self._connection) as cursor:
                yield cursor
        finally:
            self._connection.isolation_level = None


def _identity(cursor: Cursor[Any], schema: str, names: Sequence[str]) -> list[int | None]:
    ((found,),) = cursor.execute(_SQL["identity"], [schema, list(names)]).fetchall()
    return list(found)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _not_so(projection: Projection, what: What, text: str) -> Verified:
    finding = RowFinding(what=what, text=text, projection=projection.name)
    return Verified(projection=projection.name, position=0, rows=0, findings=[finding], number=1)
