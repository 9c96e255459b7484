"""Fixtures on a real PostgreSQL: one server for a test process, a database of its own for each test or module.

A database is a copy of a migrated template, which takes some 30 ms. The server does not wait for the disk (fsync off):
nothing here outlives the test run. Tests of durability start an `EmbeddedPostgres` of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from order_service.migrations import migrate
from order_service.postgres import EmbeddedPostgres

_TEMPLATE = "template_migrated"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The shared server. `.url` is its own database: use `database_url` for tests that write."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    """The name of a database with all migrations applied. Nobody connects to it: a copy needs it alone."""
    _execute(postgres_server.url, "create database {}", _TEMPLATE)
    migrate(url_of_database(postgres_server.url, _TEMPLATE))
    return _TEMPLATE


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with fresh_database(postgres_server.url, migrated_template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for all tests of a module."""
    with fresh_database(postgres_server.url, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """A fresh database without any table."""
    with fresh_database(postgres_server.url, "template1") as url:
        yield url


@pytest.fixture
def new_database_url(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[Callable[[], str]]:
    """Makes as many fresh, migrated databases as a test asks for: for hypothesis, whose examples share a fixture."""
    made: list[str] = []

    def make() -> str:
        made.append(_create(postgres_server.url, migrated_template))
        return url_of_database(postgres_server.url, made[-1])

    yield make
    for name in made:
        _execute(postgres_server.url, "drop database {} with (force)", name)


@contextmanager
def fresh_database(server_url: str, template: str) -> Iterator[str]:
    """The URL of a copy of `template`; dropped at the end, whoever is still connected."""
    name = _create(server_url, template)
    yield url_of_database(server_url, name)
    _execute(server_url, "drop database {} with (force)", name)


def url_of_database(url: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _create(server_url: str, template: str) -> str:
    name = f"test_{next(_numbers)}"
    _execute(server_url, "create database {} template {}", name, template)
    return name


def _execute(url: str, statement: str, *names: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
