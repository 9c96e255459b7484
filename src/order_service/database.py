"""Which database serves: the user's own, or the embedded one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from order_service.bounds import CONNECT_TIMEOUT_S, OTHERS_POLL_S, OTHERS_WAIT_S
from order_service.configuration.settings import Settings
from order_service.database_roles import grant_rights
from order_service.errors import UnreachableError
from order_service.migrations import migrate
from order_service.postgres import EmbeddedPostgres, running_url, service_url
from orders.eventstore.sql import load


class Database(Struct, frozen=True):
    """`direct_url` leads past a pooler: locks and LISTEN need a session. `owner_url` is for migrations only: all else
    runs with the rights of the running parts (database_roles.py)."""

    url: str
    direct_url: str
    owner_url: str
    embedded: bool = False

    def named_by(self, url: str) -> str:
        """What a person has to look at where one of the URLs leads nowhere."""
        if self.embedded:
            return "the embedded PostgreSQL"
        settings = {self.owner_url: "DATABASE_OWNER_URL", self.direct_url: "DATABASE_DIRECT_URL"}
        return {**settings, self.url: "DATABASE_URL"}[url]


def of_embedded(owner_url: str) -> Database:
    url = service_url(owner_url)
    return Database(url, url, owner_url, embedded=True)


def database(settings: Settings) -> Database:
    """The user's database, or the embedded one if it runs. Raises UnreachableError."""
    if settings.database_url:
        return Database(settings.database_url, settings.database_direct_url, settings.database_owner_url)
    url = running_url(settings.data_dir)
    if url is None:
        raise UnreachableError(
            f"no database: DATABASE_URL is empty, and the embedded PostgreSQL in {settings.data_dir} does not run."
            " Start the service with `orders up`, or set DATABASE_URL"
        )
    return of_embedded(url)


def migrate_and_grant(where: Database) -> list[str]:
    """Brings the schema up to date, and gives the running parts' role what this release needs. The names of the
    migrations that were applied. Raises MigrationError, UnreachableError."""
    try:
        applied = migrate(where.owner_url)
    except UnreachableError as error:
        raise UnreachableError(f"{where.named_by(where.owner_url)}: {error}") from error
    grant_rights(where.owner_url, where.direct_url)
    return applied


def database_that_answers(settings: Settings) -> Database:
    """The same for a part that starts: later it waits for a database that is away, but not for one that is not there.

    Raises UnreachableError.
    """
    import psycopg

    where = database(settings)
    try:
        psycopg.connect(where.direct_url, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.OperationalError as error:
        name, first_line = where.named_by(where.direct_url), str(error).splitlines()[0]
        raise UnreachableError(f"{name}: the database cannot be reached: {first_line}") from error
    return where


@contextmanager
def database_for_a_while(settings: Settings) -> Iterator[Database]:
    """The same; the embedded one is started for the time of the block if it does not run, and for that of others who
    began to use it meanwhile: without its starter it ends."""
    url = settings.database_url or running_url(settings.data_dir)
    if url:
        yield database(settings)
        return
    with EmbeddedPostgres(settings.data_dir) as server:
        try:
            yield of_embedded(server.url)
        finally:
            wait_until_alone(server.url)


def wait_until_alone(url: str) -> None:
    """Until nobody else uses the database, OTHERS_WAIT_S at most; Ctrl-C ends it. Says on stderr for whom it waits."""
    import psycopg

    others = load("order_service", "database.sql")["others"]
    told, give_up_at = "", time.monotonic() + OTHERS_WAIT_S
    time_to_end = time.monotonic() + OTHERS_POLL_S  # a session that has just ended is seen for a moment longer
    with (
        suppress(psycopg.Error),  # gone: then nobody uses it either
        psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection,
    ):
        while (found := connection.execute(others).fetchall()) and (now := time.monotonic()) < give_up_at:
            names = ", ".join(name for (name,) in found)
            if names != told and now >= time_to_end:
                told = names
                sys.stderr.write(f"the embedded database stays for others who use it: {names}\n")
            time.sleep(OTHERS_POLL_S)
