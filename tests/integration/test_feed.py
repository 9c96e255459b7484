"""The WebSocket /ws through a real server, over a real log."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from orders.domain import commands as c
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.postgres import PostgresEventStore
from projections import feed_client, feed_session
from tests.support.feed_server import ClientConnection, feed, served
from tests.support.read_service import ReadService, read_service
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ReadService]:
    async with read_service(database_url) as service:
        yield service


@pytest.fixture
async def path(service: ReadService) -> AsyncIterator[Path]:
    async with served(service.app) as path:
        yield path


async def aired(service: ReadService, position: int | None = None) -> None:
    """What is in the log by now, or up to a position, is no news any more."""

    async def all_out() -> bool:
        return service.hub.position >= (service.store.head() if position is None else position)

    await wait_until_async(all_out, what="the live log")


async def messages(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(10):
        return [json.loads(await client.recv()) for _ in range(count)]


async def end_of(client: ClientConnection) -> tuple[list[int], int, str]:
    """The positions of all that still comes, and the close code with its reason."""
    async with asyncio.timeout(20):
        positions = [json.loads(text)["position"] async for text in _until_closed(client)]
    assert client.close_code is not None
    return positions, client.close_code, client.close_reason or ""


async def _until_closed(client: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await client.recv()


async def joined(service: ReadService, clients: int) -> None:
    """The server serves that many clients: what is appended from now on is live for them."""

    async def count() -> bool:
        return service.hub.clients == clients

    await wait_until_async(count, what=f"{clients} clients")


async def test_placed_executed_and_canceled_are_told_live_in_order(service: ReadService, path: Path) -> None:
    desk = service.desk
    desk.place()
    await aired(service)
    async with feed(path) as client:
        await joined(service, 1)
        first, second = desk.place("EURUSD", 10), desk.place("USDCAD", 20)
        desk.do(first, c.StartSubmit, worker="w")
        desk.fill(first, 10)
        desk.cancel(second)
        told = await messages(client, 4)
    assert [(one["order_id"], one["status"], one["position"]) for one in told] == [
        (str(first), "Placed", 2),
        (str(second), "Placed", 3),
        (str(first), "Executed", 5),
        (str(second), "Canceled", 6),
    ]
    await joined(service, 0)


async def test_filters_and_detail(service: ReadService, path: Path) -> None:
    desk = service.desk
    order_id = desk.place("EURUSD")
    await aired(service)
    async with (
        feed(path, symbol="USDCAD") as one_symbol,
        feed(path, order_id=order_id, detail="true", channels="orders") as one_order,
    ):
        await joined(service, 2)
        desk.place("USDCAD")
        desk.do(order_id, c.StartSubmit, worker="w")
        desk.fill(order_id, 100)
        desk.place("USDCAD")
        assert [one["position"] for one in await messages(one_symbol, 2)] == [2, 5]
        assert [one["event"] for one in await messages(one_order, 2)] == ["SubmitStarted", "OrderExecuted"]


async def test_a_cut_client_resumes_without_gap_or_repeat_while_orders_arrive(service: ReadService, path: Path) -> None:
    desk = service.desk
    stop = asyncio.Event()

    async def keep_placing() -> None:
        while not stop.is_set():
            await asyncio.to_thread(desk.place)

    placing = asyncio.create_task(keep_placing())
    seen: list[int] = []
    for cut in range(5):
        async with feed(path, after=seen[-1] if seen else 0) as client:
            while len(seen) < (cut + 1) * 20:
                message = (await messages(client, 1))[0]
                if message.get("event") is not None:
                    seen.append(message["position"])
    stop.set()
    await placing
    assert seen == list(range(1, 101))


async def test_a_slow_client_is_closed_with_its_position_and_others_are_not_affected(
    service: ReadService, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 200)
    monkeypatch.setattr(feed_session, "SLOW_CLOSE_TIMEOUT_S", 20)  # no larger buffer on a Unix socket
    desk, count = service.desk, 1_500
    async with feed(path) as slow, feed(path) as good:
        await joined(service, 2)
        for start in range(1, count, 100):
            await asyncio.to_thread(lambda: [desk.place() for _ in range(100)])
            assert [one["position"] for one in await messages(good, 100)] == list(range(start, start + 100))
        positions, code, reason = await end_of(slow)
    assert code == 4408
    assert service.hub.closed_slow == 1
    found = re.search(r"after=(\d+)$", reason)
    assert found is not None
    resume = int(found[1])
    assert positions == list(range(1, len(positions) + 1))
    assert len(positions) - 1 <= resume <= len(positions) < count
    async with feed(path, after=resume) as again:
        rest = await messages(again, count - resume + 1)
    assert [one["position"] for one in rest] == [*range(resume + 1, count + 1), count]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"after": "-1"}, "after"),
        ({"after": "1"}, "after"),
        ({"after": "soon"}, "after"),
        ({"channels": "trades,prices"}, "channels"),
        ({"channels": ""}, "channels"),
        ({"batch": "yes"}, "batch"),
        ({"detail": "yes"}, "detail"),
        ({"symbol": "NOPE"}, "symbol"),
        ({"order_id": "7"}, "order_id"),
        ({"frm": "1"}, "frm"),
    ],
)
async def test_a_bad_parameter_closes_with_its_reason(shared: Path, params: dict[str, str], named: str) -> None:
    async with feed(shared, **params) as client:
        positions, code, reason = await end_of(client)
    assert (positions, code) == ([], 4422)
    assert reason.startswith(f"{named}: ")


@pytest.fixture(scope="module")
async def shared(module_database_url: str) -> AsyncIterator[Path]:
    """The feed of an empty log, for tests that change nothing."""
    async with read_service(module_database_url) as service, served(service.app) as path:
        yield path


async def test_messages_of_a_client_are_ignored(service: ReadService, path: Path) -> None:
    async with feed(path) as client:
        await joined(service, 1)
        await client.send("hello")
        await client.send(b"\x00")
        service.desk.place()
        assert [one["position"] for one in await messages(client, 1)] == [1]
        await client.send("x" * 5_000)
        assert (await end_of(client))[1] == 1008


async def test_a_feed_that_drains_tells_its_clients(service: ReadService, path: Path) -> None:
    one_order = {"order_id": uuid4(), "channels": "orders,books"}
    async with feed(path) as client, feed(path, after=0) as resumed, feed(path, **one_order) as quiet:
        await joined(service, 3)
        await service.hub.close()
        for one in (client, resumed, quiet):
            assert (await end_of(one))[1:] == (1012, "the service restarts: resume with after=0")


async def test_what_is_ready_comes_in_one_frame_where_the_client_takes_that(service: ReadService, path: Path) -> None:
    for _ in range(10):
        service.desk.place()
    await aired(service)
    async with feed(path, after=0, batch="true") as client, asyncio.timeout(10):
        assert [one["position"] for one in json.loads(await client.recv())] == list(range(1, 11))
        assert json.loads(await client.recv()) == {"type": "caught_up", "position": 10}
        service.desk.place()
        assert json.loads(await client.recv())["position"] == 11


async def test_orders_trades_and_books_come_over_one_socket_and_positions_never_go_back(
    service: ReadService, path: Path
) -> None:
    desk = service.desk
    order_id = desk.place("EURUSD", 10, "1.1")
    await aired(service)
    with service.projecting():
        async with feed(path, channels="orders,trades,books", symbol="EURUSD", after=0) as client:
            first = await messages(client, 3)
            desk.do(order_id, c.StartSubmit, worker="w")
            desk.fill(order_id, 4, "1.1", "e1")
            order, trade, book = await messages(client, 3)
    assert [one["type"] for one in first] == ["limit", "caught_up", "book"]
    assert first[-1]["bids"] == [{"price": "1.10000", "quantity": 10, "orders": 1}]
    assert (order["filled_quantity"], order["more"]) == (4, True)
    assert (trade["type"], trade["exec_id"], trade["quantity"]) == ("trade", "e1", 4)
    assert [one["position"] for one in (order, trade, book)] == [3, 3, 3]
    assert (book["bids"], book["asks"]) == ([{"price": "1.10000", "quantity": 6, "orders": 1}], [])


class SlowReads:
    """A store that hands out the log up to `shows`."""

    def __init__(self, store: EventStore) -> None:
        self.shows = 0
        self._store = store

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        return [one for one in self._store.read_log(after=after, limit=limit) if one.position <= self.shows]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_client_that_resumes_at_a_process_which_is_behind_waits_for_it(
    service: ReadService, path: Path, database_url: str
) -> None:
    behind: Any = SlowReads(PostgresEventStore(database_url))
    async with read_service(database_url, store=behind) as other, served(other.app) as other_path:
        for _ in range(6):
            service.desk.place()
        await aired(service)
        async with feed(path, after=0) as client:
            assert [one["position"] for one in await messages(client, 4)] == [1, 2, 3, 4]
        async with feed(other_path, after=4) as client:
            await joined(other, 1)
            behind.shows = 3
            await aired(other, 3)
            service.desk.place()
            behind.shows = 7
            told = await messages(client, 4)
        assert [one["position"] for one in told] == [5, 6, 7, 7]
        assert told[-1]["type"] == "caught_up"
        async with feed(other_path, after=8) as client:
            assert (await end_of(client))[1:] == (4422, "after: position 8 is beyond the log's last position 7")


async def test_a_get_without_an_upgrade_is_told_to_ask_for_one(service: ReadService) -> None:
    answer = await service.get("/ws")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.headers["connection"] == "upgrade"
