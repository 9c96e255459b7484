"""Where nobody can be told apart, since the database is away, nobody is let in, and nobody is called wrong."""

from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from order_service.security.api_keys import new_key
from orders.api.routes import NOT_PLACED

pytestmark = pytest.mark.anyio

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AUTHENTICATION": "required"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=cast(Any, build_api(load_settings(NOWHERE))))
    headers = {"Authorization": f"Bearer {new_key().text}"}
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


async def test_what_needs_no_key_is_answered(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).status_code == 200
    assert (await http.get("/openapi.json")).status_code == 200


async def test_who_shows_no_key_hears_that_at_once(http: httpx.AsyncClient) -> None:
    del http.headers["Authorization"]
    assert (await http.post("/orders")).status_code == 401
