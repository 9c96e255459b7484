"""Where nobody can be told apart, since the database is away, nobody is let in, and nobody is called wrong. Figures
alone are shown to a key that was known: they are what says that the database is away."""

from collections.abc import AsyncIterator, Collection
from typing import Any, cast

import httpx
import pytest

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from order_service.security import known_keys
from order_service.security.api_keys import NewKey, StoredKey, new_key
from order_service.security.key_table import PostgresKeys
from order_service.security.principal import AccessScope, Principal
from orders.api.routes import NOT_PLACED
from orders.eventstore.port import StoreUnavailable

pytestmark = pytest.mark.anyio

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AUTHENTICATION": "required"}


@pytest.fixture
def key() -> NewKey:
    return new_key()


@pytest.fixture
async def http(key: NewKey) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=cast(Any, build_api(load_settings(NOWHERE))))
    headers = {"Authorization": f"Bearer {key.text}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as http:
        yield http


async def test_an_order_gets_the_exact_answer_of_one_that_was_not_placed(http: httpx.AsyncClient) -> None:
    answer = await http.post("/orders", json={"symbol": "EURUSD", "quantity": 10})
    assert (answer.status_code, answer.content) == (500, NOT_PLACED)
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("path", ["/orders", "/metrics", "/ops/parked", "/events"])
async def test_everything_else_is_asked_again_later(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert (answer.status_code, answer.json()["title"]) == (503, "Database unavailable")
    assert answer.headers["Retry-After"]


async def test_a_path_however_long_makes_a_short_line(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await http.get(f"/orders/{'x' * 60_000}")).status_code == 503
    (line,) = [record.getMessage() for record in caplog.records if "/orders/x" in record.getMessage()]
    assert len(line) < 500


async def test_what_needs_no_key_is_answered(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).status_code == 200
    assert (await http.get("/openapi.json")).status_code == 200


async def test_who_shows_no_key_hears_that_at_once(http: httpx.AsyncClient) -> None:
    del http.headers["Authorization"]
    assert (await http.post("/orders")).status_code == 401


@pytest.mark.parametrize("scope", AccessScope)
async def test_a_scrape_goes_on_with_a_key_that_was_known_and_nothing_else_does(
    http: httpx.AsyncClient, key: NewKey, scope: AccessScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredKey(Principal(account="desk", scopes=frozenset({scope}), key_id=key.key_id), key.digest)
    away = False

    async def holding(table: PostgresKeys, key_ids: Collection[str]) -> dict[str, StoredKey]:
        if away:
            raise StoreUnavailable("the database is away")
        return {key.key_id: stored}

    monkeypatch.setattr(PostgresKeys, "holding", holding)
    monkeypatch.setattr(known_keys, "KEY_FRESH_S", 0.0)
    assert (await http.get("/metrics")).status_code == (200 if scope == "admin" else 403)
    away = True
    answer = await http.get("/metrics")
    if scope == "admin":
        assert answer.status_code == 200
        assert "orders_database_readable 0.0" in answer.text.splitlines()
    else:
        assert answer.status_code == 403
    for path in ("/orders", "/ops/parked", "/ops/projections", "/events"):
        assert (await http.get(path)).status_code == 503, path
    assert (await http.post("/orders", json={"symbol": "EURUSD", "quantity": 10})).status_code == 500
