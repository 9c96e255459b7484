"""Brings a database to the present schema: the numbered .sql files of this folder, each applied once, in order.

A file is `NNNN_what_it_does.sql` and is applied in one transaction together with its row in schema_migrations, so it
must not begin or end one itself, nor create an index concurrently. What is applied is never edited: the checksum would
differ. Every transaction takes the same lock first and looks again, so any number of processes may migrate at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.pq import TransactionStatus

from order_service.bounds import CONNECT_TIMEOUT_S, MIGRATION_LOCK_WAIT_S, MIGRATION_TABLE_LOCK_S
from order_service.errors import (
    MigrationChanged,
    MigrationFailed,
    UnknownMigration,
    UnreachableError,
    WrongMigrationFiles,
)
from orders.eventstore.connections import TidyConnection, connect
from orders.eventstore.sql import load

__all__ = ["Migration", "migrate", "pending", "read_migrations"]

_SQL = load("order_service.migrations", "bookkeeping.sql")
_FILE_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")
_NUMBERED = re.compile(r"[0-9]")
_Connection = psycopg.Connection[tuple[Any, ...]]


class Migration(Struct, frozen=True):
    number: int
    name: str  # of the file
    sha256: str
    sql: str


def read_migrations(directory: Traversable | None = None) -> list[Migration]:
    """The files of the folder (by default this one) by number. Only names that begin with a digit count.

    WrongMigrationFiles where such a name is not NNNN_words.sql, or two have one number. Line ends do not count in the
    checksum.
    """
    found: dict[int, Migration] = {}
    for file in sorted((directory or files(__name__)).iterdir(), key=lambda file: file.name):
        if not _NUMBERED.match(file.name):
            continue
        match = _FILE_NAME.fullmatch(file.name)
        if not match:
            raise WrongMigrationFiles(f"{file.name} is no name of a migration: it should look like 0007_trades.sql")
        number, sql = int(match[1]), file.read_bytes().decode().replace("\r\n", "\n")
        if number in found:
            raise WrongMigrationFiles(f"{found[number].name} and {file.name} have the same number")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found[number] = Migration(number=number, name=file.name, sha256=checksum, sql=sql)
    return list(found.values())


def migrate(url: str, *, directory: Traversable | None = None) -> list[str]:
    """Applies what is pending, and returns the names that this call applied, in order.

    MigrationError, or UnreachableError. Files applied before an error stay applied; of the failed one nothing does.
    """
    migrations = read_migrations(directory)
    applied = []
    with _connected(
        lambda: TidyConnection.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)
    ) as connection:
        while name := _apply_next(connection, migrations):
            applied.append(name)
    return applied


def pending(url: str, *, directory: Traversable | None = None) -> list[str]:
    """The names that `migrate` would apply. Changes nothing; raises what it would raise before it applies any. Unlike
    `migrate`, of which a statement may take long, it waits for no answer for long."""
    migrations = read_migrations(directory)
    with _connected(lambda: connect(url, application_name="orders migrations")) as connection:
        exists = connection.execute(_SQL["table_exists"]).fetchone()
        rows = _applied(connection) if exists and exists[0] else []
    return [migration.name for migration in _not_applied(migrations, rows)]


@contextmanager
def _connected(connecting: Callable[[], _Connection]) -> Iterator[_Connection]:
    try:
        connection = connecting()
    except psycopg.OperationalError as error:
        raise UnreachableError(f"the database cannot be reached: {_first_line(error)}") from error
    with connection:
        try:
            yield connection
        except psycopg.Error as error:
            if connection.closed:
                raise UnreachableError(f"the database was lost while migrating: {_first_line(error)}") from error
            raise MigrationFailed(f"the database refused to be migrated: {_first_line(error)}") from error


def _apply_next(connection: _Connection, migrations: Sequence[Migration]) -> str | None:
    with connection.transaction():
        _set_lock_timeout(connection, MIGRATION_LOCK_WAIT_S)
        connection.execute(_SQL["take_lock"])
        connection.execute(_SQL["create_table"])
        todo = _not_applied(migrations, _applied(connection))
        if not todo:
            return None
        _set_lock_timeout(connection, MIGRATION_TABLE_LOCK_S)
        _run(connection, todo[0])
        row = {"number": todo[0].number, "name": todo[0].name, "sha256": todo[0].sha256}
        connection.execute(_SQL["record"], row)
    return todo[0].name


def _set_lock_timeout(connection: _Connection, seconds: float) -> None:
    connection.execute(_SQL["wait_for_lock"], {"lock_timeout": f"{seconds:.0f}s"})


def _run(connection: _Connection, migration: Migration) -> None:
    try:
        connection.execute(migration.sql.encode())
    except psycopg.Error as error:
        if connection.broken:
            raise
        raise MigrationFailed(f"{migration.name} failed, nothing of it was applied: {_first_line(error)}") from error
    if connection.info.transaction_status != TransactionStatus.INTRANS:
        raise MigrationFailed(f"{migration.name} ends its transaction itself: take its commit or rollback out")


def _applied(connection: _Connection) -> list[tuple[Any, ...]]:
    return connection.execute(_SQL["applied"]).fetchall()


def _not_applied(migrations: Sequence[Migration], applied: Sequence[tuple[Any, ...]]) -> list[Migration]:
    """What is left to do, after checking that what was done is what the files say."""
    known = {migration.number: migration for migration in migrations}
    done: set[int] = set()
    for number, name, sha256 in applied:
        migration = known.get(number)
        if migration is None:
            raise UnknownMigration(
                f"the database has the migration {name}, which this version does not know: "
                "a newer version of the service migrated it, so run that one"
            )
        if (migration.name, migration.sha256) != (name, sha256):
            raise MigrationChanged(
                f"{migration.name} is not what was applied to the database as {name}: "
                "restore that file, and put the change in a migration of its own"
            )
        done.add(number)
    todo = [migration for migration in migrations if migration.number not in done]
    if todo and done and todo[0].number < max(done):
        raise WrongMigrationFiles(
            f"{todo[0].name} comes before {known[max(done)].name}, which is applied already: give it a higher number"
        )
    return todo


def _first_line(error: psycopg.Error) -> str:
    return str(error.diag.message_primary or error).splitlines()[0]
