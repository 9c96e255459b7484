"""The feed as server-sent events through a real server, over a real log."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from msgspec import Struct

from order_service.api.head_requests import head_as_get
from projections import feed_client, feed_hub, feed_session
from tests.support.feed_server import served
from tests.support.read_service import ReadService, read_service, wrong_fields
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


class Event(Struct):
    """As an event source sees it; `id` is what it would send as Last-Event-ID. Without data nothing is dispatched."""

    id: str
    name: str
    data: dict[str, Any]
    own_id: bool


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ReadService]:
    async with read_service(database_url) as service:
        yield service


@pytest.fixture
async def http(service: ReadService) -> AsyncIterator[httpx.AsyncClient]:
    async with served(service.app) as path, client_of(path) as client:
        yield client


def client_of(path: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    return httpx.AsyncClient(transport=transport, base_url="http://orders.test", timeout=20)


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """WHATWG HTML 9.2.6, as far as we send it."""
    last_id, name, data = "", "message", ""
    own_id = False
    async for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            last_id, own_id = value, True
        elif field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line:
            yield Event(last_id, name, json.loads(data) if data else {}, own_id)
            name, data, own_id = "message", "", False


@asynccontextmanager
async def source(
    http: httpx.AsyncClient, last: str | None = None, **params: Any
) -> AsyncIterator[AsyncIterator[Event]]:
    headers = {"Last-Event-ID": last} if last is not None else {}
    async with http.stream("GET", "/events", params=params, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        yield parsed(answer.aiter_lines())


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next ones with data."""
    taken: list[Event] = []
    async with asyncio.timeout(10):
        while len(taken) < count:
            event = await anext(events)
            if event.data:
                taken.append(event)
    return taken


async def joined(service: ReadService, clients: int) -> None:
    async def count() -> bool:
        return service.hub.clients == clients

    await wait_until_async(count, what=f"{clients} clients")


async def aired(service: ReadService) -> None:
    """What is in the log by now is no news any more."""

    async def all_out() -> bool:
        return service.hub.position >= service.store.head()

    await wait_until_async(all_out, what="the live log")


async def test_a_stream_resumes_after_the_last_id_which_wins_over_after(
    service: ReadService, http: httpx.AsyncClient
) -> None:
    for _ in range(5):
        service.desk.place()
    await aired(service)
    async with source(http, after=2) as events:
        first = await take(events, 4)
        assert [event.data["position"] for event in first] == [3, 4, 5, 5]
        assert [event.id for event in first] == ["3", "4", "5", "5"]
        assert first[-1].data == {"type": "caught_up", "position": 5}
    async with source(http, last="4", after=0) as events:
        again = await take(events, 2)
        assert [event.data["position"] for event in again] == [5, 5]
        service.desk.place()
        (live,) = await take(events, 1)
        assert live.id == "6"
    await joined(service, 0)


async def test_a_stream_without_a_position_can_be_resumed_from_its_first_moment(
    service: ReadService, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.1)
    service.desk.place("EURUSD")
    await aired(service)
    async with source(http, symbol="USDCAD") as events:
        assert await anext(events) == Event("1", "message", {}, True)
        await joined(service, 1)
        service.desk.place("EURUSD")

        async def kept_alive() -> bool:
            return (await anext(events)).id == "2"

        await wait_until_async(kept_alive, what="a sign of life with the position")


async def test_only_the_last_message_of_a_position_has_an_id(service: ReadService, http: httpx.AsyncClient) -> None:
    service.desk.fill(service.desk.place(), 100)
    async with source(http, after=0, channels="orders,trades") as events:
        taken = await take(events, 4)
    # What was just committed may come live: "caught_up" then stands before it.
    placed, order, trade = (event for event in taken if event.data["type"] != "caught_up")
    assert [placed.own_id, order.own_id, trade.own_id] == [True, False, True]
    assert (order.id, trade.id) == ("1", "2")
    assert order.data["more"] is True
    assert trade.data["type"] == "trade"


async def test_wrong_parameters_are_problems(service: ReadService, http: httpx.AsyncClient) -> None:
    service.desk.place()
    assert wrong_fields(await http.get("/events", params={"after": 9})) == ["after"]
    assert wrong_fields(await http.get("/events", headers={"Last-Event-ID": "9"})) == ["after"]
    assert wrong_fields(await http.get("/events", headers={"Last-Event-ID": "soon"})) == ["Last-Event-ID"]
    wrong = {"channels": "prices", "detail": "yes", "frm": "1", "batch": "2"}
    assert sorted(wrong_fields(await http.get("/events", params=wrong))) == ["batch", "channels", "detail", "frm"]


async def test_head_answers_at_once_with_the_position(service: ReadService) -> None:
    service.desk.place()
    transport = httpx.ASGITransport(cast(Any, head_as_get(service.app)))  # answers when the app has ended
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as http, asyncio.timeout(5):
        answer = await http.head("/events", params={"after": 1})
        assert (answer.status_code, answer.headers["orders-position"], answer.content) == (200, "1", b"")
        assert answer.headers["content-type"] == "text/event-stream"
        assert (await http.head("/events", params={"after": 2})).status_code == 422
    assert service.hub.clients == 0


async def test_no_more_clients_than_the_bound_are_taken(
    service: ReadService, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_hub, "MAX_FEED_CLIENTS", 0)
    answer = await http.get("/events")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "retry-after" in answer.headers


async def test_a_client_that_is_too_slow_is_told_where_to_resume_and_the_stream_ends(
    service: ReadService, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 200)
    count = 20_000
    async with source(http) as events:
        await anext(events)
        await joined(service, 1)
        recorded = service.desk.place() and service.desk.log()
        for start in range(0, count, 100):
            batch = [type(recorded[0])(start + n, recorded[0].stream_id, 1, recorded[0].event) for n in range(2, 102)]
            service.hub.publish(batch)
            if start % 1_000 == 0:
                await asyncio.sleep(0)
        seen = [event async for event in events]
    last = seen[-1]
    assert last.name == "closed"
    assert (last.data["code"], last.data["position"]) == (4408, int(last.id))
    positions = [event.data["position"] for event in seen[:-1] if event.data]
    assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert last.data["position"] in (positions[-1], positions[-1] - 1)
    assert len(positions) < count


async def test_a_shutdown_ends_streams_cleanly(service: ReadService, http: httpx.AsyncClient) -> None:
    service.desk.place()
    async with source(http, after=0) as events:
        await take(events, 2)
        await service.hub.close()
        (last,) = [event async for event in events]
    assert (last.name, last.id) == ("closed", "1")
    assert last.data == {
        "type": "closed",
        "code": 1012,
        "reason": "the service restarts: resume with after=1",
        "position": 1,
    }
    refused = await http.get("/events")
    assert refused.status_code == 503
