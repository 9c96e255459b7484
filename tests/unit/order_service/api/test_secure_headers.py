"""What a browser is told of our answers: at every route, and whatever comes of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar

from order_service.api.docs_pages import ASSETS_PATH
from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from tests.support.route_table import endpoints

pytestmark = pytest.mark.anyio

STREAMS = {"/events", "/ws"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    """The whole app of an API process. It is not started: the answers of the routes that need a database are faults,
    and these have the headers, too."""
    folder, nowhere = tmp_path_factory.mktemp("app"), "postgresql://orders:x@127.0.0.1:1/orders"
    return build_api(load_settings({"DATABASE_URL": nowhere, "ORDERS_DATA_DIR": str(folder)}, folder / "no.env"))


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=cast(Any, app), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


def expect_secure(answer: httpx.Response, what: object) -> None:
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff", what
    assert headers["x-frame-options"] == "DENY", what
    assert headers["referrer-policy"] == "no-referrer", what
    assert headers["cross-origin-resource-policy"] == "same-origin", what
    assert headers["cache-control"] in ("no-store", "no-cache"), what
    assert "default-src 'none'" in headers["content-security-policy"], what
    assert "frame-ancestors 'none'" in headers["content-security-policy"], what
    assert "strict-transport-security" not in headers, what
    assert len(headers.get_list("content-security-policy")) == len(headers.get_list("cache-control")) == 1, what


async def test_every_answer_of_every_route_is_secured(app: Litestar, http: httpx.AsyncClient) -> None:
    asked = [endpoint for endpoint in endpoints(app) if endpoint.path not in STREAMS]
    wrong = {"content": b"{}", "params": {"no_route": "has_this"}}
    answers = await asyncio.gather(*(http.request(one.method, one.path, **wrong) for one in asked))
    for endpoint, answer in zip(asked, answers, strict=True):
        expect_secure(answer, endpoint)
    assert len(asked) > 30


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nowhere"), ("TRACE", "/orders"), ("OPTIONS", "/orders"), ("HEAD", "/docs"), ("GET", "/docs/nowhere")],
)
async def test_what_no_route_answers_is_secured_too(http: httpx.AsyncClient, method: str, path: str) -> None:
    expect_secure(await http.request(method, path), path)


async def test_transport_security_is_asked_for_where_there_is_tls_only(http: httpx.AsyncClient) -> None:
    answer = await http.get("https://127.0.0.1:8000/health/live")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_page_may_run_what_stands_in_it_and_nothing_else(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    inline = re.findall(r"<script type='text/javascript'>(.*?)</script>", page.text, re.DOTALL)
    assert inline, "Swagger UI is started by a script in the page"
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in inline}
    assert set(policy["script-src"].split()) == {"'self'", *digests}
    assert policy["connect-src"] == "'self'"
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text.split("<body>")[0]):
        assert path.startswith(ASSETS_PATH)


async def test_what_is_of_an_account_is_kept_by_nobody_and_documents_are_asked_for_again(
    http: httpx.AsyncClient,
) -> None:
    paths = ("/orders?wrong=1", "/instruments", "/openapi.json", "/docs")
    kept = [(await http.get(path)).headers["cache-control"] for path in paths]
    assert kept == ["no-store", "no-store", "no-cache", "no-cache"]
