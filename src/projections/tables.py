"""The tables of a projection: made from its own SQL, thrown away and filled again from 0 when that changes.

They live in a schema of their own, so that another generation can be filled beside them and swapped in by renaming
schemas, which waits for no query. The schema's table `reached` says where its tables are in the log: rows and position
that one statement reads belong together where the position is also the checkpoint's, which moves with it (reads.sql).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import Cursor, sql

from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.bounds import APPLY_ROWS, TABLES_LOCK_TIMEOUT_S
from projections.errors import ForeignTables, MisplacedBatch, MissingRow, TablesNotWhole
from projections.projection import Change, Projection, Row

log = logging.getLogger(__name__)

_SQL = load("projections", "tables.sql")
_MADE = re.compile(r"^\s*create\s+(?:unlogged\s+)?table\s+(\w+)", re.MULTILINE | re.IGNORECASE)


def make_tables(connection: psycopg.Connection[Any], projection: Projection) -> bool:
    """Makes the live tables, unless they are there as this release wants them. Whether it made them.

    Made tables are empty and the checkpoint stands at 0, both in one transaction; who follows now starts again.

    Raises psycopg.Error; LockNotAvailable where queries on the old tables do not end in time.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_SQL["lock"], [projection.name])
        cursor.execute(_SQL["bound"], [f"{round(TABLES_LOCK_TIMEOUT_S * 1000)}ms"])
        if _are_ours(cursor, projection, projection.schema) and _has_checkpoint(cursor, projection):
            return False
        cursor.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(projection.schema)))
        create_schema(cursor, projection, projection.schema)
        cursor.execute(_SQL["start_over"], [projection.name])
    connection.execute(_SQL["end_follower"], [projection.name])
    log.info("projection %s: new tables, filled from the start of the log", projection.name)
    return True


def create_schema(cursor: Cursor[Any], projection: Projection, schema: str) -> None:
    """Empty tables of the projection, live or shadow, in a new schema. They stand at position 0."""
    cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    use_schema(cursor, schema)
    cursor.execute(_SQL["reached"])
    cursor.execute(projection.sql["tables"])
    comment = sql.SQL("comment on schema {} is {}")
    cursor.execute(comment.format(sql.Identifier(schema), sql.Literal(projection.fingerprint)))


def apply_to(cursor: Cursor[Any], projection: Projection, schema: str, batch: Sequence[Recorded]) -> None:
    """Applies the batch to the tables in `schema`, in the cursor's transaction.

    Raises MissingRow, psycopg.Error; MisplacedBatch where the batch does not follow what the tables hold.
    """
    use_schema(cursor, schema)
    if cursor.execute(_SQL["advance"], [batch[-1].position, batch[0].position - 1], prepare=True).rowcount != 1:
        raise MisplacedBatch(projection.name, schema, batch[0].position)
    for change in projection.step(batch):
        _execute(cursor, projection, change)


def _execute(cursor: Cursor[Any], projection: Projection, change: Change) -> None:
    for part in _chunks(change.rows):
        columns = [list(column) for column in zip(*part, strict=True)]
        cursor.execute(projection.sql[change.statement], columns, prepare=True)
        if change.every_row and cursor.rowcount != len(part):
            found = {key for (key, *_) in cursor.fetchall()}
            raise MissingRow(projection.name, [row[0] for row in part if row[0] not in found])


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(rows), APPLY_ROWS):
        yield rows[start : start + APPLY_ROWS]


def reached(cursor: Cursor[Any], schema: str) -> int:
    """The position up to which the tables in `schema` hold the log. Raises TablesNotWhole where they do not say it."""
    statement = sql.SQL("select position from {}").format(sql.Identifier(schema, "reached"))
    try:
        rows = cursor.execute(statement).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise TablesNotWhole(schema, "its table reached is gone") from error
    if len(rows) != 1:
        raise TablesNotWhole(schema, f"its table reached has {len(rows)} rows instead of one")
    return int(rows[0][0])


def reached_by_whole(cursor: Cursor[Any], projection: Projection, schema: str) -> int:
    """The same, of a set that has all its tables. Raises TablesNotWhole."""
    there = {name for (name,) in cursor.execute(_SQL["tables_of"], [schema]).fetchall()}
    gone = sorted({"reached", *_MADE.findall(projection.sql["tables"])} - there)
    if gone:
        raise TablesNotWhole(schema, f"without {', '.join(gone)}")
    return reached(cursor, schema)


def use_schema(cursor: Cursor[Any], schema: str) -> None:
    """To the end of the transaction, unqualified names mean the tables in `schema`."""
    cursor.execute(_SQL["use_schema"], [schema])


def check_tables(cursor: Cursor[Any], projection: Projection) -> None:
    """Raises ForeignTables where another release has made the live tables its own."""
    if not _are_ours(cursor, projection, projection.schema):
        raise ForeignTables(projection.name)


def _are_ours(cursor: Cursor[Any], projection: Projection, schema: str) -> bool:
    found = cursor.execute(_SQL["fingerprint"], [schema]).fetchone()
    return found is not None and found[0] == projection.fingerprint


def _has_checkpoint(cursor: Cursor[Any], projection: Projection) -> bool:
    found = cursor.execute(_SQL["has_checkpoint"], [projection.name]).fetchone()
    return found is not None and bool(found[0])
