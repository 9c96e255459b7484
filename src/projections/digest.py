"""What a projection's tables hold, in a few characters: the same rows, the same digest.

Each row's text is hashed twice to 64 bits, and the hashes are summed: 128 bits and a count a table, in one pass, in the
database, in no order. That finds accidents, not someone who looks for collisions; digests are compared within one
server, and not kept. `reached` is no part of it: digests are compared at one position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any

import msgspec
from msgspec import Struct
from psycopg import Cursor, sql

from orders.eventstore.sql import load

_SQL = load("projections", "digest.sql")


class TableDigest(Struct, frozen=True):
    name: str
    rows: int
    digest: str


class StateDigest(Struct, frozen=True):
    """Of all tables of a schema, by name."""

    tables: tuple[TableDigest, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def hex(self) -> str:
        """One for all tables, 128 bits."""
        return sha256(msgspec.json.encode(self.tables)).hexdigest()[:32]


def state_digest(cursor: Cursor[Any], schema: str) -> StateDigest:
    """The digest of the tables in `schema`, of one snapshot where the cursor's transaction has one (repeatable read).

    It reads every row, so the connection's bound on statements must allow for that. Raises psycopg.Error.
    """
    with cursor.connection.transaction():
        cursor.execute(_SQL["settings"])
        columns = cursor.execute(_SQL["columns"], [schema]).fetchall()
        tables = groupby(columns, key=lambda column: str(column[0]))
        return StateDigest(tuple(_table(cursor, schema, name, list(found)) for name, found in tables))


def differing_tables(live: StateDigest, rebuilt: StateDigest) -> Iterator[tuple[str, int, int]]:
    """The tables that are not the same: name, rows live, rows rebuilt."""
    by_name = {table.name: table for table in live.tables}
    others = {table.name: table for table in rebuilt.tables}
    for name in sorted(by_name.keys() | others.keys()):
        one, other = by_name.get(name), others.get(name)
        if one != other:
            yield name, one.rows if one else 0, other.rows if other else 0


def _table(cursor: Cursor[Any], schema: str, name: str, columns: Sequence[tuple[str, str, bool]]) -> TableDigest:
    statement = sql.SQL(_SQL["table"]).format(
        columns=sql.SQL(", ").join(_shown(column, numeric) for _, column, numeric in columns),
        table=sql.Identifier(schema, name),
    )
    ((rows, first, second),) = cursor.execute(statement).fetchall()
    named = [name, [column for _, column, _ in columns], rows, first, second]
    return TableDigest(name, rows, sha256(msgspec.json.encode(named)).hexdigest()[:32])


def _shown(column: str, numeric: bool) -> sql.Composable:
    """1.10 and 1.1 are one number: which of them a sum is depends on what was added in between."""
    shown = sql.SQL("trim_scale({})") if numeric else sql.SQL("{}")
    return shown.format(sql.Identifier(column))
