"""Other tables in the place of the live ones, by renaming schemas in one transaction.

A rename takes no lock on tables: queries under way read the old tables to their end, and the next ones find the new.
Who follows finds another generation at its next commit, which is rolled back, and starts again on the new tables. The
tables that come stand at least where those stood that go, so that no reader sees an older state.
"""

from __future__ import annotations

from threading import Event
from typing import Any

import psycopg
from psycopg import Cursor, sql

from orders.eventstore.connections import connect
from orders.eventstore.sql import load
from orders.follower import read_checkpoint
from projections.bounds import SWAP_EVENTS, SWAP_LOCK_TIMEOUT_S, SWAP_PAUSE_S, SWAP_TRIES
from projections.errors import RebuildStopped, TablesInUse
from projections.filling import FAST, Filling, found_schemas
from projections.projection import Projection

_SQL = load("projections", "swap.sql")
_LOCK_TABLES = load("projections", "tables.sql")["lock"]


def shadow_of(projection: Projection) -> str:
    return f"{projection.schema}_shadow"


def kept_of(projection: Projection) -> str:
    """Where the tables are kept that were replaced last."""
    return f"{projection.schema}_old"


def as_of(projection: Projection) -> str:
    return f"{projection.schema}_as_of"


class _TooFar(Exception):
    """The live tables went ahead by more than a swap may apply."""


def swap_in(filling: Filling, stop: Event) -> int:
    """Makes the filled tables the live ones, and keeps those that were; the new generation of the checkpoint.

    What was kept before must be gone, unless it is what comes back. Raises TablesInUse, RebuildStopped and what
    `Filling.advance` raises.
    """
    for _ in range(SWAP_TRIES):
        try:
            return _attempt(filling)
        except psycopg.errors.LockNotAvailable:
            pass
        except _TooFar:
            filling.advance(_checkpoint_position(filling), FAST)
            continue
        if stop.wait(SWAP_PAUSE_S):
            raise RebuildStopped
    raise TablesInUse(f"the checkpoint of {filling.projection.name}")


def generation_after_swap(direct_url: str, projection: Projection) -> int:
    """The checkpoint's generation once a swap has ended of which no answer came: it holds the row to its end.

    Raises psycopg.Error, also where it does not end in time.
    """
    with connect(direct_url, application_name="orders swap") as connection, connection.transaction():
        rows = connection.execute(_SQL["lock_checkpoint"], [projection.name]).fetchall()
        return int(rows[0][1]) if rows else 0


def _attempt(filling: Filling) -> int:
    name = filling.projection.name
    connection = filling.connection
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_SQL["bound"], [f"{round(SWAP_LOCK_TIMEOUT_S * 1000)}ms"])
        cursor.execute(_LOCK_TABLES, [name])
        cursor.execute(_SQL["add_checkpoint"], [name])
        ((live, _),) = cursor.execute(_SQL["lock_checkpoint"], [name]).fetchall()
        if live - filling.position > SWAP_EVENTS:
            raise _TooFar
        filling.apply_rest(cursor, live)
        position = max(live, filling.position)
        _rename(cursor, filling)
        ((generation, _),) = cursor.execute(_SQL["set_checkpoint"], {"name": name, "position": position}).fetchall()
    filling.moved(filling.projection.schema, position)
    return int(generation)


def _rename(cursor: Cursor[Any], filling: Filling) -> None:
    projection = filling.projection
    live, kept, coming = projection.schema, kept_of(projection), filling.schema
    aside = f"{projection.schema}_swap"
    if found_schemas(cursor, [live]):
        rename(cursor, live, aside)
    rename(cursor, coming, live)
    if found_schemas(cursor, [aside]):
        rename(cursor, aside, kept)


def rename(cursor: Cursor[Any], schema: str, to: str) -> None:
    cursor.execute(sql.SQL("alter schema {} rename to {}").format(sql.Identifier(schema), sql.Identifier(to)))


def _checkpoint_position(filling: Filling) -> int:
    checkpoint = read_checkpoint(filling.connection, filling.projection.name)
    return checkpoint.position if checkpoint else 0
