"""A whole API process that asks who it is, behind a real server; with keys of two accounts, and tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import psycopg
from litestar import Litestar
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from order_service.security.api_keys import NewKey, new_key
from order_service.security.key_table import create_key, revoke_key
from orders.eventstore.postgres import PostgresEventStore
from tests.support.feed_server import served
from tests.support.operations_service import keeping_duties
from tests.support.read_service import projecting
from tests.support.trading_desk import TradingDesk

SECRET = "a secret of at least thirty-two characters"
SCOPES = ("read", "trade", "admin")
REQUIRED = {
    "AUTHENTICATION": "required",
    "JWT_KEY": SECRET,
    "JWT_ISSUER": "https://login.example",
    "JWT_AUDIENCE": "orders",
}


class AccessService:
    """`alices` is an open, partly filled order of the account alice with the key `alices-key`."""

    def __init__(self, url: str, app: Litestar, path: Path, alices: UUID, keys: dict[tuple[str, str], NewKey]) -> None:
        self.url = url
        self.app = app
        self.path = path
        self.alices = alices
        self._keys = keys
        self.http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://localhost", timeout=10
        )

    def key(self, scope: str, account: str = "alice") -> str:
        """A key with this scope alone."""
        return self._keys[account, scope].text

    def new_key(self, *scopes: str, account: str = "alice") -> NewKey:
        return made_key(self.url, account, *scopes)

    def revoke(self, key: NewKey) -> None:
        with psycopg.connect(self.url) as connection:
            assert revoke_key(connection, key.key_id) is not None

    async def ask(self, method: str, path: str, credential: str | None = None, **more: Any) -> httpx.Response:
        headers = {**showing(credential), **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    def feed(self, query: str = "", credential: str | None = None, **more: Any) -> connect:
        """A client of /ws; `async with` it."""
        headers = {**showing(credential), **more.pop("headers", {})}
        uri = f"ws://localhost/ws{query}"
        return unix_connect(str(self.path), uri, additional_headers=headers, compression=None, **more)


def showing(credential: str | None) -> dict[str, str]:
    return {} if credential is None else {"Authorization": f"Bearer {credential}"}


def made_key(url: str, account: str, *scopes: str) -> NewKey:
    key = new_key()
    with psycopg.connect(url) as connection:
        create_key(connection, key, account, scopes, "of a test", None)
    return key


def token(account: str = "alice", scope: str = "read", *, ends_in_s: float = 60) -> str:
    now = int(time.time())
    claims = {
        "sub": account,
        "scope": scope,
        "iss": REQUIRED["JWT_ISSUER"],
        "aud": REQUIRED["JWT_AUDIENCE"],
        "iat": now,
        "exp": int(now + ends_in_s),
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


@asynccontextmanager
async def access_service(url: str) -> AsyncIterator[AccessService]:
    app = build_api(load_settings({"DATABASE_URL": url, **REQUIRED}))
    store = PostgresEventStore(url)
    desk = TradingDesk(store, account="alice")
    alices = desk.place("EURUSD", 10, "1.1", client_order_id="alices-key")
    desk.fill(alices, 4)
    keys = {(account, scope): made_key(url, account, scope) for account in ("alice", "bob") for scope in SCOPES}
    with projecting(store, url), keeping_duties(url):
        async with served(app) as path:
            service = AccessService(url, app, path, alices, keys)
            answer = await service.ask("GET", "/orders", service.key("read"), params={"min_position": 2})
            assert answer.status_code == 200, answer.text
            yield service
            await service.http.aclose()
    store.close()


async def closing(socket: ClientConnection, within_s: float = 10) -> tuple[int | None, str]:
    """The code and reason with which the service ends it, whatever it tells before."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                await socket.recv()
    except ConnectionClosed:
        return socket.close_code, socket.close_reason or ""
