"""Which sets of tables a projection has, where they stand and what they take: what a rebuild would find."""

from __future__ import annotations

from typing import Any

import psycopg
from msgspec import Struct

from orders.follower import read_checkpoint
from projections.filling import found_schemas
from projections.projection import Projection
from projections.swap import as_of, kept_of, shadow_of
from projections.tables import reached


class TableSet(Struct, frozen=True, kw_only=True):
    """`ours`: they are as this release makes them. `position` is None where they are not."""

    schema: str
    size_bytes: int
    ours: bool
    position: int | None


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
        sets: list[TableSet | None] = []
        for schema in schemas:
            if schema not in found:
                sets.append(None)
                continue
            ours = found[schema].fingerprint == projection.fingerprint
            position = reached(cursor, schema) if ours else None
            sets.append(TableSet(schema=schema, size_bytes=found[schema].size_bytes, ours=ours, position=position))
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
