"""What differs between two sets of a projection's tables, row by row: the live ones, and those that are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg import Cursor, sql

from orders.eventstore.sql import load
from orders.follower import read_checkpoint
from projections.bounds import MAX_ROW_FINDINGS
from projections.projection import Projection

_SQL = load("projections", "verification.sql")

What = Literal[
    "changed_row",
    "missing_row",
    "surplus_row",
    "repeated_row",
    "missing_tables",
    "broken_tables",
    "foreign_tables",
    "checkpoint",
    "cannot_fold",
    "not_compared",
]


class RowFinding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`text` is for a person. `position`, `order_id`, `version` and `event` name the last event that made the row what
    it should be, or what a surplus row says made it."""

    what: What
    text: str
    projection: str
    table: str | None = None
    key: dict[str, str] | None = None
    column: str | None = None
    live: str | None = None
    expected: str | None = None
    position: int | None = None
    order_id: UUID | None = None
    version: int | None = None
    event: str | None = None


class Table(Struct, frozen=True):
    name: str
    key: Sequence[str]
    columns: Sequence[str]


class RowComparison:
    """Of the tables of one projection, in one snapshot."""

    def __init__(self, cursor: Cursor[Any], projection: Projection, schema: str) -> None:
        self.findings: list[RowFinding] = []
        self.number = 0
        self.rows = 0
        self._cursor = cursor
        self._projection = projection
        self._schema = schema

    def checkpoint(self, position: int) -> None:
        checkpoint = read_checkpoint(self._cursor, self._projection.name)
        if checkpoint is None or checkpoint.position != position:
            stands = "there is none" if checkpoint is None else f"it stands at {checkpoint.position}"
            text = f"the tables hold the log up to position {position}, but the checkpoint does not say so: {stands}"
            self._add(RowFinding(what="checkpoint", text=text, projection=self._projection.name, position=position))

    def table(self, table: Table, *, is_there: bool) -> None:
        live = sql.Identifier(self._projection.schema, table.name)
        fresh = sql.Identifier(self._schema, table.name)
        if not is_there:
            text = f"the table {table.name} is missing"
            finding = RowFinding(what="broken_tables", text=text, projection=self._projection.name, table=table.name)
            self._add(finding)
            return
        self._cursor.execute(_SQL["use_indexes"], {"use": "off"})
        counts = sql.SQL(_SQL["counts"]).format(live=live, fresh=fresh)
        ((live_rows, fresh_rows),) = self._cursor.execute(counts).fetchall()
        self.rows += fresh_rows
        found = self._cursor.execute(_differences(table, live, fresh)).fetchall()
        number, surplus, missing = found[0][:3] if found else (0, 0, 0)
        repeated = live_rows - fresh_rows - surplus + missing
        rows = self._cursor.execute(_repeated(table, live)).fetchall() if repeated else []
        self._cursor.execute(_SQL["use_indexes"], {"use": "on"})
        for _, _, _, in_live, in_fresh, *row in found:
            self._keep(self._finding(table, in_live, in_fresh, row))
        for *keys, times, position in rows:
            self._keep(self._repeated_row(table, keys, times, position))
        self.number += number + repeated

    def _finding(self, table: Table, in_live: bool, in_fresh: bool, row: Sequence[Any]) -> RowFinding:
        keys, differs, live, fresh, position = row
        key = dict(zip(table.key, keys, strict=True))
        column = expected = found = None
        where = _where(table, key)
        if in_live and in_fresh:
            what: What = "changed_row"
            place = differs.index(True)
            column, found, expected = table.columns[place], live[place], fresh[place]
            text = f"{where}: {column} is {_shown(found)}, and {_shown(expected)} after a fresh fold of the log"
        elif in_fresh:
            what, text = "missing_row", f"{where}: the row is missing"
        else:
            what, text = "surplus_row", f"{where}: a fresh fold of the log makes no such row"
        event = self._cursor.execute(_SQL["event"], [position]).fetchone()
        order_id, version, topic = event or (None, None, None)
        name = topic.split(".")[0] if topic else None
        by = f"{name} of order {order_id}, version {version}" if event else "no such event"
        return RowFinding(
            what=what,
            text=f"{text}; by event {position}: {by}",
            projection=self._projection.name,
            table=table.name,
            key=key,
            column=column,
            live=found,
            expected=expected,
            position=position,
            order_id=order_id,
            version=version,
            event=name,
        )

    def _repeated_row(self, table: Table, keys: Sequence[str], times: int, position: int) -> RowFinding:
        key = dict(zip(table.key, keys, strict=True))
        return RowFinding(
            what="repeated_row",
            text=f"{_where(table, key)}: the row is there {times} times",
            projection=self._projection.name,
            table=table.name,
            key=key,
            position=position,
        )

    def _add(self, finding: RowFinding) -> None:
        self.number += 1
        self._keep(finding)

    def _keep(self, finding: RowFinding) -> None:
        if len(self.findings) < MAX_ROW_FINDINGS:
            self.findings.append(finding)


def _where(table: Table, key: dict[str, str]) -> str:
    return f"{table.name}, row {', '.join(f'{name} {value}' for name, value in key.items())}"


def _each(template: str, columns: Sequence[str], joined: str = ", ") -> sql.Composed:
    return sql.SQL(joined).join(sql.SQL(template).format(c=sql.Identifier(column)) for column in columns)


def _repeated(table: Table, live: sql.Identifier) -> sql.Composed:
    return sql.SQL(_SQL["repeated"]).format(
        keys=_each("{c}::text", table.key),
        live=live,
        columns=_each("{c}", table.key),
        most=sql.Literal(MAX_ROW_FINDINGS),
    )


def _differences(table: Table, live: sql.Identifier, fresh: sql.Identifier) -> sql.Composed:
    def texts(template: str, columns: Sequence[str]) -> sql.Composed:
        return sql.SQL("array[{}]").format(_each(template, columns))

    return sql.SQL(_SQL["differences"]).format(
        first_key=sql.Identifier(table.key[0]),
        keys=texts("coalesce(live.{c}, fresh.{c})::text", table.key),
        differs=texts("live.{c} is distinct from fresh.{c}", table.columns),
        live_values=texts("live.{c}::text", table.columns),
        fresh_values=texts("fresh.{c}::text", table.columns),
        live=live,
        fresh=fresh,
        same_key=_each("live.{c} = fresh.{c}", table.key, " and "),
        live_columns=_each("live.{c}", table.columns),
        fresh_columns=_each("fresh.{c}", table.columns),
        most=sql.Literal(MAX_ROW_FINDINGS),
    )


def _shown(value: str | None) -> str:
    return "none" if value is None else value
