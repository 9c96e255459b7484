"""The table of API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg
from msgspec import Struct

from order_service.security.api_keys import NewKey, StoredKey
from order_service.security.bounds import MAX_KEYS_LISTED
from order_service.security.principal import Principal
from orders.eventstore.session import Session
from orders.eventstore.sql import load

_SQL = load("order_service.security", "key_table.sql")

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
        _SQL["create"],
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
    rows = connection.execute(_SQL["list"], {"account": account, "most": MAX_KEYS_LISTED}).fetchall()
    return [ListedKey(*row) for row in rows]


def revoke_key(connection: Connection, key_id: str) -> datetime | None:
    """Since when it is revoked; None where there is no such key."""
    row = connection.execute(_SQL["revoke"], {"key_id": key_id}).fetchone()
    return None if row is None else row[0]


class PostgresKeys:
    """A `known_keys.KeyTable`: one connection, used by a thread of its own, made again where it was lost."""

    def __init__(self, url: str) -> None:
        self._session = Session(url, "orders API keys")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="API keys")

    async def holding(self, key_ids: Collection[str]) -> Mapping[str, StoredKey]:
        rows = await self._rows("holding", key_ids)
        return {
            key_id: StoredKey(Principal(account=account, scopes=frozenset(scopes), key_id=key_id), digest)
            for key_id, digest, account, scopes in rows
        }

    async def used(self, key_ids: Collection[str]) -> None:
        await self._rows("used", key_ids)

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._session.close()

    async def _rows(self, statement: str, key_ids: Collection[str]) -> list[tuple[Any, ...]]:
        """Raises StoreUnavailable."""
        asked = {"key_ids": list(key_ids)}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._session.rows, _SQL[statement], asked)
