"""The door around the assembled app: nothing is answered past it, and who is not let in learns nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from tests.support.access_service import REQUIRED, token

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
POSITION = "orders-position"
PROXIED = {"BASE_URL": "https://orders.example", "LISTEN": "127.0.0.1:8000", "TRUSTED_PROXY": "127.0.0.1"}
FROM_THE_PROXY = {"Host": "orders.example", "X-Forwarded-Host": "orders.example", "X-Forwarded-Proto": "https"}
EVERYWHERE = [
    ("GET", "/health/live"),
    ("HEAD", "/health/live"),
    ("GET", "/orders/%41"),
    ("GET", "/nowhere"),
    ("OPTIONS", "/orders"),
    ("TRACE", "/orders"),
    ("GET", "/docs"),
]


Settings = tuple[tuple[str, str], ...]
Apps = Callable[[Settings], Litestar]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    """One for all tests with the same settings. None is started: what needs a database is 503."""
    folder = tmp_path_factory.mktemp("apps")
    return cache(lambda settings: build_api(load_settings(dict(settings), folder / "no.env")))


@asynccontextmanager
async def asked(apps: Apps, peer: str = "127.0.0.1", **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    app = apps((("DATABASE_URL", NOWHERE), *settings.items()))
    transport = httpx.ASGITransport(app=cast(Any, app), raise_app_exceptions=False, client=(peer, 4242))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        yield http


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_a_foreign_host_gets_nothing_whether_there_is_a_route_or_not(apps: Apps, method: str, path: str) -> None:
    async with asked(apps) as http:
        answer = await http.request(method, path, headers={"Host": "evil.example"})
        metrics = (await http.get("/metrics")).text
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert 'status="421"' in metrics


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_nobody_gets_past_the_proxy(apps: Apps, method: str, path: str) -> None:
    settings = {**PROXIED, "LISTEN": "0.0.0.0:8000", "TRUSTED_PROXY": "10.0.0.7"}
    async with asked(apps, peer="10.0.0.8", **settings) as http:
        answer = await http.request(method, path, headers={"Host": "orders.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(("method", "path"), EVERYWHERE)
async def test_over_the_proxys_tls_every_answer_says_so(apps: Apps, method: str, path: str) -> None:
    async with asked(apps, **PROXIED) as http:
        told = await http.request(method, path, headers=FROM_THE_PROXY)
        plain = await http.request(method, path)
    assert "strict-transport-security" in told.headers
    assert "strict-transport-security" not in plain.headers


async def test_a_page_whose_name_points_here_is_no_proxy(apps: Apps) -> None:
    """A browser on the machine of the proxy has its address, and its page may set any X- header."""
    async with asked(apps, **PROXIED) as http:
        rebound = {"Host": "evil.example:8000", "X-Forwarded-Host": "localhost:8000"}
        assert (await http.get("/health/live", headers=rebound)).status_code == 421


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer nonsense"}, {"Host": "evil.example"}])
async def test_strangers_do_not_hear_how_the_log_grows(apps: Apps, shown: dict[str, str]) -> None:
    async with asked(apps, **REQUIRED) as http:
        for method, path in (("GET", "/orders"), ("POST", "/orders"), ("GET", "/nowhere"), ("TRACE", "/orders")):
            answer = await http.request(method, path, headers=shown)
            assert (answer.status_code >= 400, POSITION in answer.headers) == (True, False), (path, answer.text)
        lacking = await http.post("/orders", headers={"Authorization": f"Bearer {token()}"})
    assert (lacking.status_code, POSITION in lacking.headers) == (403, True)


async def test_in_local_mode_only_foreign_hosts_are_strangers(apps: Apps) -> None:
    async with asked(apps) as http:
        assert POSITION in (await http.get("/nowhere")).headers
        assert POSITION not in (await http.get("/nowhere", headers={"Host": "evil.example"})).headers


async def test_refusals_count_by_address_before_a_credential_is_looked_at(apps: Apps) -> None:
    settings = {**REQUIRED, **PROXIED, "RATE_LIMIT_READS_PER_S": "0.1"}
    async with asked(apps, **settings) as http:

        async def ask(address: str, **shown: str) -> httpx.Response:
            return await http.get("/orders", headers={**FROM_THE_PROXY, "X-Forwarded-For": address, **shown})

        nothing, again = await ask("203.0.113.1"), await ask("203.0.113.1")
        invented = [await ask("203.0.113.2", Authorization=f"Bearer no.such.{n}") for n in range(2)]
        good = await ask("203.0.113.2", Authorization=f"Bearer {token(scope='trade')}")
        other = await ask("203.0.113.3")
    assert [one.status_code for one in (nothing, again, *invented, good, other)] == [401, 429, 401, 429, 429, 401]
    assert again.headers["content-type"] == "application/problem+json"
    assert int(again.headers["retry-after"]) >= 9


async def test_opening_a_socket_counts_as_a_read(apps: Apps) -> None:
    async with asked(apps, RATE_LIMIT_READS_PER_S="0.1") as http:
        app = cast(Any, http._transport).app
        assert [await close_code(app, "channels=nonsense") for _ in range(2)] == [4422, 1013]


async def test_a_foreign_socket_is_not_connected(apps: Apps) -> None:
    async with asked(apps) as http:
        told = await heard(cast(Any, http._transport).app, "", host="evil.example")
    assert [message["type"] for message in told] == ["websocket.close"]


async def heard(app: Any, query: str, host: str = "localhost:8000") -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    scope = {
        "type": "websocket",
        "path": "/ws",
        "raw_path": b"/ws",
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 4242),
        "scheme": "ws",
        "root_path": "",
        "http_version": "1.1",
        "subprotocols": [],
        "state": {},
    }
    await app(scope, receive, send)
    return told


async def close_code(app: Any, query: str) -> int:
    return int((await heard(app, query))[-1]["code"])


async def test_who_lacks_the_scope_counts_by_account(apps: Apps) -> None:
    async with asked(apps, **REQUIRED, RATE_LIMIT_READS_PER_S="0.1") as http:
        shown = [{"Authorization": f"Bearer {token(account, scope='read')}"} for account in ("anna", "anna", "bert")]
        answers = [await http.get("/ops/parked", headers=one) for one in shown]
    assert [one.status_code for one in answers] == [403, 429, 403]
