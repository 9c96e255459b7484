"""Which database serves: the user's own, or the embedded one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from order_service.bounds import CONNECT_TIMEOUT_S
from order_service.errors import UnreachableError
from order_service.postgres import EmbeddedPostgres, running_url
from order_service.settings import Settings


class Database(Struct, frozen=True):
    """`direct_url` leads past a pooler: locks and LISTEN need a session."""

    url: str
    direct_url: str


def database(settings: Settings) -> Database:
    """The user's database, or the embedded one if it runs. Raises UnreachableError."""
    if settings.database_url:
        return Database(settings.database_url, settings.database_direct_url)
    url = running_url(settings.data_dir)
    if url is None:
        raise UnreachableError(
            f"no database: DATABASE_URL is empty, and the embedded PostgreSQL in {settings.data_dir} does not run."
            " Start the service with `orders up`, or set DATABASE_URL"
        )
    return Database(url, url)


def database_that_answers(settings: Settings) -> Database:
    """The same for a part that starts: later it waits for a database that is away, but not for one that is not there.

    Raises UnreachableError.
    """
    import psycopg

    where = database(settings)
    try:
        psycopg.connect(where.direct_url, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.OperationalError as error:
        raise UnreachableError(f"the database cannot be reached: {str(error).splitlines()[0]}") from error
    return where


@contextmanager
def database_for_a_while(settings: Settings) -> Iterator[Database]:
    """The same; the embedded one is started for the time of the block if it does not run."""
    url = settings.database_url or running_url(settings.data_dir)
    if url:
        yield database(settings)
        return
    with EmbeddedPostgres(settings.data_dir) as embedded:
        yield Database(embedded.url, embedded.url)
