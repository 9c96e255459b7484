"""What a request may be, at every route: how long, how large, how slow, how deep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from order_service.api import request_limits
from order_service.bounds import MAX_DISCARDED_BYTES, MAX_PARAMETERS, MAX_PATH_BYTES, MAX_QUERY_BYTES
from orders.bounds import MAX_BODY_BYTES
from orders.eventstore.memory import MemoryEventStore
from tests.support.command_service import CommandService, command_service
from tests.support.route_table import Endpoint, endpoints

pytestmark = pytest.mark.anyio

BODIES = [("POST", "/orders"), ("POST", "/order"), ("PUT", "/orders/x"), ("PATCH", "/orders/x")]
NESTINGS = (10, 500, 980, 990, 1_000, 5_000, 30_000)


@pytest.fixture
async def service() -> AsyncIterator[CommandService]:
    store = MemoryEventStore()
    async with command_service(store, store.hints) as running:
        yield running


async def _chunks(size_bytes: int) -> AsyncIterator[bytes]:
    for _ in range(0, size_bytes, 4096):
        yield b" " * 4096


async def test_a_body_that_is_too_large_is_413_at_every_route(service: CommandService) -> None:
    """Whether the route reads it or not, as long as it says its size."""
    asked = 0
    for endpoint in endpoints(service.app):
        answer = await ask(service, endpoint, content=b" " * (4 * MAX_BODY_BYTES * 32))
        assert (answer.status_code, answer.headers["connection"]) == (413, "close"), endpoint
        assert answer.headers["content-type"] == "application/problem+json", endpoint
        asked += 1
    assert asked > 10


@pytest.mark.parametrize(
    ("announced", "read"), [(MAX_BODY_BYTES + 4096, MAX_BODY_BYTES + 4096), (MAX_DISCARDED_BYTES + 4096, 0)]
)
async def test_what_is_a_little_too_large_is_read_before_it_is_refused(
    service: CommandService, announced: int, read: int
) -> None:
    """Unread, it resets the connection, and a proxy that still sends then answers 502 in place of 413."""
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        async for chunk in _chunks(announced):
            taken += len(chunk)
            yield chunk

    answer = await service.http.post("/orders", content=body(), headers={"Content-Length": str(announced)})
    assert (answer.status_code, taken) == (413, read)


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_in_chunks_is_counted_while_it_is_read(service: CommandService, method: str, path: str) -> None:
    answer = await service.http.request(method, path, content=_chunks(MAX_BODY_BYTES + 4096))
    assert answer.status_code == 413
    within = await service.http.request(method, path, content=_chunks(MAX_BODY_BYTES))
    assert within.status_code in (400, 404), "white space is no JSON, but not too long"


@pytest.mark.parametrize(("method", "path"), BODIES)
@pytest.mark.parametrize("opening", ["[", '{"quantity":', '{"quantity":[{"x":'])
async def test_a_body_however_deep_is_refused_in_words(
    service: CommandService, method: str, path: str, opening: str
) -> None:
    for depth in NESTINGS:
        body = opening * (depth // opening.count(":") if ":" in opening else depth)
        closing = body[::-1].translate({ord("["): "]", ord("{"): "}", ord(":"): None, ord('"'): None})
        closing = "".join(one for one in closing if one in "]}")
        for text in (body, f"{body}1{closing}"):
            answer = await service.http.request(method, path, content=text[:MAX_BODY_BYTES].encode())
            assert answer.status_code in (400, 404, 422), (depth, answer.text)
            assert "recursion" not in answer.text.lower()


async def test_a_url_that_is_too_long_is_414(service: CommandService) -> None:
    for path in (f"/orders/{'x' * MAX_PATH_BYTES}", f"/orders/x?{'a' * (MAX_QUERY_BYTES + 1)}"):
        answer = await service.http.delete(path)
        assert answer.status_code == 414
        assert str(MAX_QUERY_BYTES) in answer.json()["detail"]
    within = await service.http.delete(f"/orders/x?{'a' * MAX_QUERY_BYTES}")
    assert within.status_code == 422  # it was read: there is no such parameter


async def test_more_parameters_than_any_route_has_are_refused_unread(service: CommandService) -> None:
    answer = await service.http.delete("/orders/x?" + "&".join(["a=1"] * (MAX_PARAMETERS + 1)))
    assert (answer.status_code, len(answer.content) < 1_000) == (422, True)
    assert str(MAX_PARAMETERS) in answer.json()["detail"]


async def test_a_body_that_does_not_come_is_408_and_the_end_of_the_connection(
    service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes a byte at a time has no more time than one that does not come at all."""
    body = request_limits._Body
    monkeypatch.setattr(request_limits, "_Body", lambda receive, timeout_s: body(receive, 0.05))
    sent: list[Any] = []
    never = asyncio.Event()

    async def receive() -> Any:
        """Each byte comes well within the bound."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await never.wait()
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await service.app(_scope(service, "POST", "/orders", [(b"content-length", b"100")]), receive, send)
    assert sent[0]["status"] == 408
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert b"did not arrive within 0.05 s" in sent[1]["body"]


async def ask(service: CommandService, endpoint: Endpoint, **more: Any) -> Any:
    return await service.http.request(endpoint.method, endpoint.path, **more)


def _scope(service: CommandService, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Any:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "state": {},
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
    }
