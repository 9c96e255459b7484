"""The digest of a projection's tables says whether they hold the same rows, and nothing else."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Cursor, sql

from projections.digest import StateDigest, differing_tables, state_digest

TABLES = """
create table levels (symbol text, price numeric, quantity bigint, at timestamptz, primary key (symbol, price));
create table reached (position bigint)
"""
ROWS = [("A", "1.10", 5, "2026-11-21T10:00:00Z"), ("A", "2", 7, None), ("B", "1.1", 5, "2026-11-21T10:00:00Z")]


@pytest.fixture
def cursor(module_database_url: str) -> Iterator[Cursor[Any]]:
    with (
        psycopg.connect(module_database_url) as connection,
        connection.transaction(force_rollback=True),
        connection.cursor() as cursor,
    ):
        yield cursor


def fill(cursor: Cursor[Any], schema: str, rows: list[tuple[object, ...]], tables: str = TABLES) -> StateDigest:
    cursor.execute(sql.SQL("create schema {0}; set local search_path = {0}").format(sql.Identifier(schema)))
    cursor.execute(tables.encode())
    cursor.executemany("insert into levels (symbol, price, quantity, at) values (%s, %s, %s, %s)", rows)
    cursor.execute("insert into reached values (%s)", [len(schema)])
    return state_digest(cursor, schema)


def test_the_same_rows_have_the_same_digest_whatever_their_order_and_the_order_of_columns(cursor: Cursor[Any]) -> None:
    one = fill(cursor, "one", ROWS)
    turned = (
        "create table levels (at timestamptz, quantity bigint, price numeric, symbol text);" + TABLES.splitlines()[2]
    )
    assert fill(cursor, "another", ROWS[::-1], turned) == one
    assert [(table.name, table.rows) for table in one.tables] == [("levels", 3)]
    assert len(bytes.fromhex(one.hex)) == 16


def test_a_number_is_the_same_with_and_without_zeros_at_its_end(cursor: Cursor[Any]) -> None:
    assert fill(cursor, "one", ROWS) == fill(cursor, "another", [("A", "1.1000", *ROWS[0][2:]), *ROWS[1:]])


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(ROWS[1:], id="a row is missing"),
        pytest.param([*ROWS, ("C", "1", 1, None)], id="a row too many"),
        pytest.param([("A", "1.10", 6, ROWS[0][3]), *ROWS[1:]], id="a value is another"),
        pytest.param([(*ROWS[0][:3], None), *ROWS[1:]], id="a value is null"),
        pytest.param([("A", "1.10", 7, ROWS[0][3]), ("A", "2", 5, None), ROWS[2]], id="two values changed places"),
    ],
)
def test_other_rows_have_another_digest(cursor: Cursor[Any], rows: list[tuple[object, ...]]) -> None:
    one, other = fill(cursor, "one", ROWS), fill(cursor, "other", rows)
    assert one.hex != other.hex
    assert list(differing_tables(one, other)) == [("levels", 3, len(rows))]


def test_the_digest_does_not_depend_on_the_session(cursor: Cursor[Any]) -> None:
    one = fill(cursor, "one", ROWS)
    cursor.execute(
        "set local timezone = 'Asia/Tokyo'; set local datestyle = 'German'; set local extra_float_digits = 0"
    )
    assert state_digest(cursor, "one") == one
