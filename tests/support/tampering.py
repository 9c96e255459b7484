"""What somebody does to the database who may do anything there: a superuser, past every trigger."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Cursor

from order_service.postgres.layout import ROLE, SUPERUSER

_GUARDED = ("order_events", "hash_chain")


def superuser_url(url: str) -> str:
    """The same database, as the embedded server's superuser, whose password is that of the service's role."""
    return url.replace(f"//{ROLE}:", f"//{SUPERUSER}:")


@contextmanager
def tampering(url: str) -> Iterator[Cursor[Any]]:
    """One transaction in which the log and its chain can be changed; the triggers stand again after it."""
    with psycopg.connect(superuser_url(url)) as connection, connection.cursor() as cursor:
        for table in _GUARDED:
            cursor.execute(f"alter table public.{table} disable trigger {table}_immutable")
        yield cursor
        for table in _GUARDED:
            cursor.execute(f"alter table public.{table} enable always trigger {table}_immutable")


def tamper(url: str, statement: str) -> None:
    """The statement must change something."""
    with tampering(url) as cursor:
        cursor.execute(statement.encode())
        assert cursor.rowcount > 0, statement
