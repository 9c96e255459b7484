"""What the Python client promises, held by both of its forms over real connections."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from order_client import (
    AsyncOrderClient,
    AsyncStream,
    InDoubt,
    Invalid,
    NotFound,
    OrderClient,
    Refused,
    Stream,
    StreamLost,
    UnexpectedAnswer,
    Unreachable,
    conversation,
    following,
)
from tests.support.client_forms import FORMS, Form, client_form
from tests.support.client_streams import control, message
from tests.support.client_talks import ORDER_ID, shown_order
from tests.support.running_service import free_port
from tests.support.scripted_api import DROPPED, SILENT, ScriptedApi, scripted_api
from tests.support.scripted_feed import ScriptedFeed, closing, cut, frames, scripted_feed
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        yield script


@pytest.fixture
async def client(form: str, api: ScriptedApi) -> AsyncIterator[Form]:
    async with client_form(form, api.url) as client:
        yield client


@pytest.fixture
def feed() -> Iterator[ScriptedFeed]:
    with scripted_feed() as feed:
        yield feed


@asynccontextmanager
async def following_json(form: str, feed: ScriptedFeed, **options: Any) -> AsyncIterator[Any]:
    """The JSON of a stream's messages, read."""
    async with client_form(form, feed.url) as client, client.stream("stream_json", after=0, **options) as stream:
        yield stream


async def positions(stream: Any, count: int) -> list[int]:
    return [json.loads(one)["position"] for one in await stream.take(count)]


async def test_an_order_is_placed_once_though_connections_are_lost(client: Form, api: ScriptedApi) -> None:
    api.answers(201, DROPPED).answers(503, {"detail": "busy"}).answers(
        201, shown_order(position=3), Orders_Position="3"
    )
    order = await client.call("place", symbol="EURUSD", quantity=10, limit_price=Decimal("1.08"))
    assert (str(order.order_id), order.limit_price, client.position) == (ORDER_ID, Decimal("1.08"), 3)
    first, second, third = api.asked
    assert first == second == third
    assert first[2] == {**first[2], "symbol": "EURUSD", "quantity": 10, "limit_price": "1.08"}


async def test_an_order_without_an_answer_in_time_is_in_doubt(client: Form, api: ScriptedApi) -> None:
    api.answers(201, SILENT)
    with pytest.raises(InDoubt) as told:
        await client.call("place", symbol="EURUSD", quantity=10, client_order_id="k", timeout_s=1.0)
    assert told.value.client_order_id == "k"


async def test_nobody_there_is_told_so(form: str) -> None:
    async with client_form(form, NOWHERE, timeout_s=0.3) as client:
        with pytest.raises(Unreachable, match=NOWHERE):
            await client.call("get", ORDER_ID)


async def test_the_next_server_serves_where_the_first_cannot_be_reached(form: str, api: ScriptedApi) -> None:
    api.answers(200, shown_order())
    async with client_form(form, [NOWHERE, api.url]) as client:
        assert str((await client.call("get", ORDER_ID)).order_id) == ORDER_ID


async def test_a_service_that_comes_later_is_waited_for(form: str) -> None:
    port, refused = free_port(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def repeats(error: Exception) -> None:
        loop.call_soon_threadsafe(refused.set)

    async with client_form(form, f"http://127.0.0.1:{port}", on_repeat=repeats) as client:
        asking = asyncio.create_task(client.call("get", ORDER_ID))
        await refused.wait()
        with scripted_api(port) as late:
            late.answers(200, shown_order())
            assert (await asking).position == 1


async def test_cancel_and_replace_say_what_is_pending(client: Form, api: ScriptedApi) -> None:
    api.answers(202, shown_order(ord_status="PendingCancel")).answers(200, shown_order(quantity=20))
    canceled = await client.call("cancel", ORDER_ID)
    replaced = await client.call("replace", ORDER_ID, quantity=20)
    assert (canceled.pending, replaced.pending, replaced.order.quantity) == (True, False, 20)
    assert [(method, path, body) for method, path, body in api.asked] == [
        ("DELETE", f"/orders/{ORDER_ID}", None),
        ("PUT", f"/orders/{ORDER_ID}", {"quantity": 20}),
    ]


async def test_refusals_are_errors_of_their_kind(client: Form, api: ScriptedApi) -> None:
    api.answers(404, {"detail": "Order with ID: x does not exist"}).answers(422, {"detail": "d"}).answers(200, "hello")
    with pytest.raises(NotFound, match="does not exist"):
        await client.call("get", "x")
    with pytest.raises(Invalid):
        await client.call("place", quantity=10)
    with pytest.raises(UnexpectedAnswer):
        await client.call("instruments")


async def test_lists_are_followed_page_by_page(client: Form, api: ScriptedApi) -> None:
    api.answers(200, [shown_order(position=2)], Link='</orders?cursor=x>; rel="next"', Orders_Position="5")
    api.answers(200, [shown_order(position=1)]).answers(200, []).answers(200, [])
    assert [order.position for order in await client.rows("list", status="Placed")] == [2, 1]
    assert await client.rows("trades", symbol="EURUSD") == []
    assert await client.rows("history", ORDER_ID, as_of=3) == []
    assert [path for _, path, _ in api.asked] == [
        "/orders?status=Placed",
        "/orders?cursor=x",
        "/trades?symbol=EURUSD&min_position=5",
        f"/orders/{ORDER_ID}/events?as_of=3&min_position=5",
    ]


async def test_a_stream_begins_where_the_service_is_now(form: str, feed: ScriptedFeed) -> None:
    feed.position = 41
    feed.plays(frames(message(42)))
    async with client_form(form, feed.url) as client, client.stream("stream_json", symbol="EURUSD") as stream:
        assert await positions(stream, 1) == [42]
        assert stream.position == client.position == 42
    assert feed.asked[1:] == ["/ws?symbol=EURUSD&batch=true&after=41"]


async def test_a_stream_goes_on_over_every_kind_of_end(
    form: str, feed: ScriptedFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SILENCE_S", 1.0)
    one, two = message(4, more=True), message(4, place=1)
    feed.plays(
        cut(message(1)),
        closing(1012, "the service restarts", message(2)),
        closing(4408, "too slow: resume with after=3", message(3), one),
        closing(1013, "too many clients"),
        frames([one, two], message(5)),  # and then nothing, as on a connection whose other end is gone
        frames([message(6), control("heartbeat", 9)]),
    )
    feed.refusals.extend([503, 429])
    lost: list[str] = []
    async with following_json(form, feed, on_lost=lost.append) as stream:
        told = [json.loads(one) for one in await stream.take(7)]
    assert [(one["position"], one["place"]) for one in told] == [(1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (5, 0), (6, 0)]
    after = [path.rpartition("=")[2] for path in feed.asked]
    assert after == ["0", "0", "0", "1", "2", "3", "3", "5"]
    assert lost[3:] == ["the service restarts", "too slow: resume with after=3", "too many clients", lost[-1]]


async def test_a_stream_waits_for_a_service_that_is_away(form: str, feed: ScriptedFeed) -> None:
    feed.plays(closing(1012, "the service restarts", message(1)), frames(message(2)))
    lost: list[str] = []
    async with following_json(form, feed, on_lost=lost.append) as stream:
        assert await positions(stream, 1) == [1]
        await asyncio.to_thread(feed.close)
        waiting = asyncio.create_task(positions(stream, 1))

        async def refused() -> bool:
            return len(lost) >= 3

        await wait_until_async(refused, what="refused connections")
        feed.open()
        assert await waiting == [2]


async def test_a_stream_that_is_refused_says_why(form: str, feed: ScriptedFeed) -> None:
    feed.plays(closing(4422, "symbol: not supported"))
    async with following_json(form, feed) as stream:
        with pytest.raises(Invalid, match="symbol: not supported"):
            await stream.take(1)
    feed.refusals.append(401)
    async with following_json(form, feed) as stream:
        with pytest.raises(Refused) as refused:
            await stream.take(1)
    assert refused.value.status == 401


async def test_a_stream_may_be_asked_again_after_an_error(form: str, feed: ScriptedFeed) -> None:
    feed.plays(closing(4422, "after: beyond the log", message(1)), frames("nonsense"), frames(message(2)))
    async with following_json(form, feed) as stream:
        assert await positions(stream, 1) == [1]
        for kind in (Invalid, UnexpectedAnswer):
            with pytest.raises(kind):
                await stream.take(1)
        assert await positions(stream, 1) == [2]
    assert feed.asked[-1].endswith("after=1")


async def test_a_stream_gives_up_where_it_is_told_to(form: str) -> None:
    async with client_form(form, NOWHERE) as client, client.stream(after=7, give_up_after_s=0.3) as stream:
        with pytest.raises(StreamLost) as lost:
            await stream.take(1)
    assert lost.value.position == 7


async def test_a_stream_may_be_ended_while_it_waits(form: str, feed: ScriptedFeed) -> None:
    feed.plays(frames(message(1)))
    async with following_json(form, feed) as stream:
        assert await positions(stream, 1) == [1]
        waiting = asyncio.create_task(stream.rest())
        await asyncio.sleep(0)
        await stream.end()
        assert await waiting == []
        assert await stream.rest() == []


async def test_a_stream_that_is_ended_while_it_connects_leaves_no_connection(form: str, feed: ScriptedFeed) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def play(connection: Any) -> None:
        frames()(connection)
        loop.call_soon_threadsafe(ended.set)

    feed.plays(play)
    feed.answers.clear()
    async with following_json(form, feed) as stream:
        waiting = asyncio.create_task(stream.rest())

        async def asked() -> bool:
            return bool(feed.asked)

        await wait_until_async(asked, what="the stream's handshake")
        await stream.end()
        feed.answers.set()
        assert await waiting == []
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_stream_that_is_ended_in_a_pause_waits_no_longer(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_BACKOFF_S", "MAX_BACKOFF_S"):
        monkeypatch.setattr(conversation, name, 60.0)
    lost = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_lost(reason: str) -> None:
        loop.call_soon_threadsafe(lost.set)

    async with client_form(form, NOWHERE) as client, client.stream(after=0, on_lost=on_lost) as stream:
        waiting = asyncio.create_task(stream.rest())
        await lost.wait()
        await stream.end()
        async with asyncio.timeout(5):
            assert await waiting == []


@pytest.mark.parametrize("elsewhere", ["http", "ws"])
async def test_a_stream_goes_nowhere_but_to_who_was_named(form: str, feed: ScriptedFeed, elsewhere: str) -> None:
    with scripted_feed() as other:
        feed.refusals.append(302)
        feed.location = other.url.replace("http", elsewhere, 1) + "/ws"
        async with following_json(form, feed) as stream:
            with pytest.raises(UnexpectedAnswer, match="302"):
                await stream.take(1)
        assert other.asked == []


async def test_a_wait_that_is_given_up_loses_nothing(feed: ScriptedFeed) -> None:
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def play(connection: Any) -> None:
        connection.send(json.dumps(message(1)))
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        connection.send(json.dumps(message(2)))
        frames(message(3))(connection)

    feed.plays(play)
    async with AsyncOrderClient(feed.url) as client, client.stream_json(after=0) as stream:
        seen = [await anext(stream)]
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(stream)
        go_on.set()
        seen += [await anext(stream), await anext(stream)]
    assert [json.loads(one)["position"] for one in seen] == [1, 2, 3]


def test_both_forms_have_the_same_methods_with_the_same_arguments() -> None:
    for one, other in ((OrderClient, AsyncOrderClient), (Stream, AsyncStream)):
        assert arguments(one) == arguments(other)


def arguments(form: type) -> dict[str, list[str]]:
    named = {"close": "aclose"}
    methods = inspect.getmembers(form, inspect.isfunction)
    shown = {name: list(inspect.signature(method).parameters) for name, method in methods if not name.startswith("_")}
    return {named.get(name, name): parameters for name, parameters in shown.items()}
