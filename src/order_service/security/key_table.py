"""The table of API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from msgspec import Struct

from order_service.security.api_keys import NewKey, StoredKey
from order_service.security.bounds import MAX_KEYS_LISTED
from order_service.security.principal import Principal
from orders.eventstore.connections import connect, is_dead, unavailable
from orders.eventstore.sql import load

_SQL = load("order_service.security", "key_table.sql")

T = TypeVar("T")
Connection = psycopg.Connection[Any]


class ListedKey(Struct, frozen=True):
    """A key without its secret. The statement `list` has these columns."""

    key_id: str
    account: str
    scopes: list[str]
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_key(
    connection: Connection, key: NewKey, account: str, scopes: Sequence[str], name: str, expires_at: datetime | None
) -> None:
    connection.execute(
        _SQL["create"].encode(),
        {
            "key_id": key.key_id,
            "digest": key.digest,
            "account": account,
            "scopes": list(scopes),
            "name": name,
            "expires_at": expires_at,
        },
    )


def list_keys(connection: Connection, account: str | None = None) -> list[ListedKey]:
    """Newest first, MAX_KEYS_LISTED at most; of all accounts where none is named."""
    rows = connection.execute(_SQL["list"].encode(), {"account": account, "most": MAX_KEYS_LISTED}).fetchall()
    return [ListedKey(*row) for row in rows]


def revoke_key(connection: Connection, key_id: str) -> datetime | None:
    """Since when it is revoked; None where there is no such key."""
    row = connection.execute(_SQL["revoke"].encode(), {"key_id": key_id}).fetchone()
    return None if row is None else row[0]


class PostgresKeys:
    """A `known_keys.KeyTable`: one connection, used by a thread of its own, made again where it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="API keys")

    async def holding(self, key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        asked = list(key_ids)
        return await self._run(lambda connection: _holding(connection, asked))

    async def used(self, key_ids: Collection[str]) -> None:
        asked = list(key_ids)
        await self._run(lambda connection: connection.execute(_SQL["used"].encode(), {"key_ids": asked}))

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._connection is not None:
            self._connection.close()

    async def _run(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._on_connection, work)

    def _on_connection(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None or is_dead(self._connection):
                self._connection = connect(self._url, application_name="orders API keys")
            return work(self._connection)
        except psycopg.Error as error:
            raise unavailable(error, "looking up API keys") from error


def _holding(connection: Connection, key_ids: list[str]) -> dict[str, StoredKey]:
    rows = connection.execute(_SQL["holding"].encode(), {"key_ids": key_ids}).fetchall()
    return {
        key_id: StoredKey(Principal(account=account, scopes=frozenset(scopes), key_id=key_id), digest)
        for key_id, digest, account, scopes in rows
    }
