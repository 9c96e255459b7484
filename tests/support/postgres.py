"""Fixtures on a real PostgreSQL: one server for a test process, a database of its own for each test or module.

A database is a copy of a migrated template, which takes some 30 ms. The server does not wait for the disk (fsync off):
nothing here outlives the test run. Tests of durability start an `EmbeddedPostgres` of their own.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from order_service.database import migrate_and_grant, of_embedded
from order_service.postgres import EmbeddedPostgres
from order_service.postgres.layout import SERVICE_ROLE
from orders.eventstore.postgres import PostgresEventStore
from tests.support.waiting import wait_until

_TEMPLATE = "template_migrated"
_PLENTY_BYTES = 2 * 1024**3  # for a few workers with some 50 MB a folder
_numbers = count(1)


@cache
def _place() -> str:
    """In memory where there is plenty and programs may run: a copy of a data folder takes 0.07 s there, not 0.5."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        return "/tmp"
    status = os.statvfs(memory)
    plenty = status.f_bavail * status.f_frsize >= _PLENTY_BYTES
    return str(memory) if plenty and not status.f_flag & os.ST_NOEXEC else "/tmp"


@contextmanager
def passable_folder() -> Iterator[Path]:
    """An empty folder that every account may pass, as /var/lib is; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="orders-test-", dir=_place(), ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """The shared server. `.url` is its own database: use `database_url` for tests that write."""
    with passable_folder() as folder, EmbeddedPostgres(folder, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    """The name of a database with all migrations applied. Nobody connects to it: a copy needs it alone."""
    _execute_named(postgres_server.url, "create database {}", _TEMPLATE)
    migrate_and_grant(of_embedded(url_of_database(postgres_server.url, _TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for one test, as its owner; `order_service.postgres.service_url` makes the URL of the
    running parts from it."""
    with fresh_database(postgres_server.url, migrated_template) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[PostgresEventStore]:
    """The log in the test's own database."""
    store = PostgresEventStore(database_url)
    yield store
    store.close()


@pytest.fixture(scope="module")
def module_database_url(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for all tests of a module."""
    with fresh_database(postgres_server.url, migrated_template) as url:
        yield url


@pytest.fixture
def renewed_database_url(module_database_url: str) -> str:
    """The module's database with empty tables, for one test: a fifth of the time that a database of its own takes."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        )
        connection.execute("drop schema public cascade; create schema public")
    migrate_and_grant(of_embedded(module_database_url))
    return module_database_url


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without any table."""
    with fresh_database(postgres_server.url, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def first_data_dir() -> Iterator[Path]:
    """A data folder after its first start, with a table `kept (line text)`: for copies only."""
    with passable_folder() as folder:
        with EmbeddedPostgres(folder / "data", durable=False) as server:
            execute(server.url, "create table kept (line text)")
        yield folder / "data"


@pytest.fixture
def data_dir(first_data_dir: Path) -> Iterator[Path]:
    """A data folder of this test's own, stopped, with the table `kept`: a copy saves an initdb."""
    with passable_folder() as folder:
        yield copy_data_dir(first_data_dir, folder / "data")


def copy_data_dir(original: Path, copy: Path) -> Path:
    """With its owners and modes."""
    subprocess.run(["cp", "-a", str(original), str(copy)], check=True)
    return copy


@contextmanager
def fresh_database(server_url: str, template: str) -> Iterator[str]:
    """The URL of a copy of `template`; dropped at the end, whoever is still connected."""
    name = _create(server_url, template)
    yield url_of_database(server_url, name)
    _drop(server_url, name)


def url_of_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def value(url: str, query: str) -> object:
    """The first column of the first row."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row, query
    return row[0]


def _create(server_url: str, template: str) -> str:
    name = f"test_{next(_numbers)}"
    _execute_named(server_url, "create database {} template {}", name, template)
    _execute_named(server_url, "grant create on database {} to {}", name, SERVICE_ROLE)  # the only right no copy has
    return name


def _drop(server_url: str, name: str) -> None:
    """An autovacuum worker in it is not ours to end; its work is short."""

    def dropped() -> bool:
        try:
            _execute_named(server_url, "drop database {} with (force)", name)
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    wait_until(dropped, within_s=30, what=f"the end of an autovacuum in {name}")


def _execute_named(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
