"""Which sets of tables a projection has, where they stand and what they take: what a rebuild would find."""

from __future__ import annotations

from typing import Any

import psycopg
from msgspec import Struct
from psycopg import Cursor

from orders.follower import read_checkpoint
from projections.errors import TablesNotWhole
from projections.filling import Found, found_schemas
from projections.projection import Projection
from projections.swap import as_of, kept_of, shadow_of
from projections.tables import reached_by_whole


class TableSet(Struct, frozen=True, kw_only=True):
    """`ours`: this release has made them. `lack` says what is wrong with such a set where it is not whole any more;
    `position` is None then, and where the set is not ours."""

    schema: str
    size_bytes: int
    ours: bool
    position: int | None = None
    lack: str | None = None


class Survey(Struct, frozen=True, kw_only=True):
    """`position` and `generation` are the checkpoint's; `shadow` is what an interrupted rebuild has left."""

    projection: str
    position: int
    generation: int
    live: TableSet | None
    shadow: TableSet | None
    kept: TableSet | None
    as_of: TableSet | None

    @property
    def filled_from(self) -> int:
        """The position after which a rebuild begins."""
        return self.shadow.position or 0 if self.shadow else 0


def survey(connection: psycopg.Connection[Any], projection: Projection) -> Survey:
    """Raises psycopg.Error."""
    with connection.cursor() as cursor:
        checkpoint = read_checkpoint(cursor, projection.name)
        schemas = (projection.schema, shadow_of(projection), kept_of(projection), as_of(projection))
        found = found_schemas(cursor, list(schemas))
        sets = [_table_set(cursor, projection, found[name]) if name in found else None for name in schemas]
    live, shadow, kept, past = sets
    return Survey(
        projection=projection.name,
        position=checkpoint.position if checkpoint else 0,
        generation=checkpoint.generation if checkpoint else 0,
        live=live,
        shadow=shadow,
        kept=kept,
        as_of=past,
    )


def _table_set(cursor: Cursor[Any], projection: Projection, found: Found) -> TableSet:
    if found.fingerprint != projection.fingerprint:
        return TableSet(schema=found.schema, size_bytes=found.size_bytes, ours=False)
    position = lack = None
    try:
        position = reached_by_whole(cursor, projection, found.schema)
    except TablesNotWhole as error:
        lack = str(error)
    return TableSet(schema=found.schema, size_bytes=found.size_bytes, ours=True, position=position, lack=lack)
