"""Connections for queries: few, read-only, and no query takes longer than its bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from psycopg_pool import AsyncConnectionPool, TooManyRequests

from orders.bounds import ANSWER_GRACE_S, CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S
from orders.eventstore.connections import KEEPALIVE, TidyAsyncConnection, is_dead
from orders.eventstore.sql import load
from projections.bounds import MAX_QUEUED_QUERIES, READ_CONNECTIONS
from projections.errors import ReadsUnavailable, TablesMissing, TooManyReads

log = logging.getLogger(__name__)

SQL = load("projections", "reads.sql")

_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
)
_CHANGED = psycopg.errors.FeatureNotSupported
"""What PostgreSQL says of a statement prepared for tables whose columns have other types since."""


class ReadPool:
    """For one event loop. Without `prepare` it goes through a pooler, which gives sessions to others."""

    def __init__(self, database_url: str, *, prepare: bool = True) -> None:
        self._pool: AsyncConnectionPool[TidyAsyncConnection] = AsyncConnectionPool(
            database_url,
            connection_class=TidyAsyncConnection,
            kwargs={
                "autocommit": True,
                "application_name": "orders reads",
                "connect_timeout": round(CONNECT_TIMEOUT_S),
                "prepare_threshold": 2 if prepare else None,
                **KEEPALIVE,
            },
            min_size=0,
            max_size=READ_CONNECTIONS,
            max_waiting=MAX_QUEUED_QUERIES,
            timeout=CONNECT_TIMEOUT_S,
            reconnect_timeout=CONNECT_TIMEOUT_S,
            configure=_configure,
            open=False,
        )

    async def open(self) -> None:
        """Does not wait for the database."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def rows(self, statement: str, params: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Raises: ReadsUnavailable, TablesMissing, TooManyReads."""
        try:
            try:
                return await self._ask(statement, params)
            except _CHANGED:
                return await self._ask(statement, params, prepare=False)
        except TooManyRequests as error:
            raise TooManyReads from error
        except (*_MISSING, _CHANGED) as error:
            raise TablesMissing from error
        except (psycopg.OperationalError, TimeoutError) as error:
            raise ReadsUnavailable from error
        except psycopg.Error as error:
            log.exception("a query failed")
            raise ReadsUnavailable from error

    async def _ask(
        self, statement: str, params: Mapping[str, object] | None, prepare: bool | None = None
    ) -> list[tuple[Any, ...]]:
        async with self._living() as connection, asyncio.timeout(STATEMENT_TIMEOUT_S + ANSWER_GRACE_S):
            try:
                cursor = await connection.execute(statement, params, binary=True, prepare=prepare)
                return await cursor.fetchall()
            except _CHANGED:
                await connection.close()  # what it has prepared would fail for good
                raise

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[TidyAsyncConnection]:
        """A connection that was not lost while idle. The pool's own check pauses a second after each that was, and a
        database that restarts takes all of them."""
        for _ in range(READ_CONNECTIONS + 1):
            async with self._pool.connection() as connection:
                # What is asked of a connection is the same for both kinds, and takes no round trip.
                if not is_dead(cast("psycopg.Connection[Any]", connection)):
                    yield connection
                    return
                await connection.close()
        raise psycopg.OperationalError("every connection was lost")


async def _configure(connection: TidyAsyncConnection) -> None:
    """Closes one that does not take it in time: the pool would leave it open."""
    try:
        async with asyncio.timeout(STATEMENT_TIMEOUT_S + ANSWER_GRACE_S):
            await connection.execute(SQL["session"], {"statement_ms": str(round(STATEMENT_TIMEOUT_S * 1000))})
    except (psycopg.Error, TimeoutError) as error:
        await connection.close()
        raise psycopg.OperationalError("the session could not be set up") from error
