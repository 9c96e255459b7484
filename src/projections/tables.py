"""The tables of a projection: made from its own SQL, thrown away and filled again from 0 when that changes.

They live in a schema of their own, so that another generation can be filled beside them and swapped in by renaming
schemas, which waits for no query.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import Cursor, sql

from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.bounds import TABLES_LOCK_TIMEOUT_S
from projections.errors import ForeignTables
from projections.projection import Projection

log = logging.getLogger(__name__)

_SQL = load("projections", "tables.sql")


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
    """Empty tables of the projection, live or shadow, in a new schema."""
    cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    use_schema(cursor, schema)
    cursor.execute(projection.sql["tables"])
    comment = sql.SQL("comment on schema {} is {}")
    cursor.execute(comment.format(sql.Identifier(schema), sql.Literal(projection.fingerprint)))


def apply_to(cursor: Cursor[Any], projection: Projection, schema: str, batch: Sequence[Recorded]) -> None:
    """Applies the batch to the tables in `schema`, in the cursor's transaction."""
    use_schema(cursor, schema)
    projection.apply(cursor, batch)


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
