"""A client of the feed, from its first message to its close code."""

import asyncio
import threading
from uuid import uuid4

import pytest

from orders.domain import commands as c
from orders.domain.events import ReportUnmatched
from orders.eventstore.port import Unit
from projections import feed_hub, feed_log, feed_session
from projections.feed_client import FeedClient
from tests.support.feed_sockets import FakeSocket, Studio, clients_left, closed, received
from tests.support.trading_desk import OPENING, TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


async def test_a_client_hears_what_happens_from_now_on_in_order_and_nothing_else(
    studio: Studio, desk: TradingDesk
) -> None:
    desk.place()
    await studio.air()
    socket = await studio.tune_in()
    order_id = desk.place()
    desk.do(order_id, c.StartSubmit, worker="w")
    desk.fill(order_id, 100)
    await studio.air()
    desk.place()
    await studio.air()
    assert socket.positions == [2, 4, 5]


async def test_each_client_hears_what_it_asked_for(studio: Studio, desk: TradingDesk) -> None:
    first = desk.place("EURUSD")
    await studio.air()
    all_detail = await studio.tune_in(detail=True)
    one_symbol = await studio.tune_in(symbol="USDCAD")
    one_order = await studio.tune_in(order_id=first)
    neither = await studio.tune_in(order_id=first, symbol="USDCAD")
    desk.place("USDCAD")
    desk.do(first, c.StartSubmit, worker="w")
    desk.fill(first, 100)
    await studio.air()
    assert all_detail.positions == [2, 3, 4]
    assert one_symbol.positions == [2]
    assert one_order.positions == [4]
    assert neither.positions == []


async def test_a_client_resumes_after_a_position_without_gap_or_repeat(studio: Studio, desk: TradingDesk) -> None:
    for _ in range(5):
        desk.place()
    await studio.air()
    socket = await studio.tune_in(after=2)
    assert (await received(socket, 4))[-1] == {"type": "caught_up", "position": 5}
    desk.place()
    await studio.air()
    assert socket.positions == [3, 4, 5, 5, 6]


async def test_events_appended_while_a_client_catches_up_come_once(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_log, "REPLAY_PAGE", 3)
    order_id = desk.place("EURUSD", 100)
    for _ in range(9):
        desk.fill(order_id, 1)
    await studio.air()
    socket = await studio.tune_in(after=0)
    for _ in range(10):
        desk.fill(order_id, 1)
        await studio.air()

    async def live() -> bool:
        return len(socket.sent) == 21

    await wait_until_async(live, what="all messages")
    messages = [one["position"] for one in socket.sent if "type" not in one or one["type"] == "market"]
    assert messages == list(range(1, 21))
    assert [one["type"] for one in socket.sent if one["type"] != "market"] == ["caught_up"]


async def test_a_client_of_books_alone_skips_what_it_would_not_hear(studio: Studio, desk: TradingDesk) -> None:
    desk.place()
    await studio.air()
    socket = await studio.tune_in(channels=frozenset({"books"}), after=0)
    desk.place()
    await studio.air()
    assert socket.sent == [{"type": "caught_up", "position": 1}]
    assert studio.reader.pages_read == 0


async def test_who_waits_for_this_process_hears_heartbeats_and_goodbye(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.01)
    desk.place()
    desk.place()
    socket = await studio.tune_in(after=2)

    async def beats() -> bool:
        return {"type": "heartbeat", "position": 2} in socket.sent

    await wait_until_async(beats, what="a heartbeat")
    await studio.hub.close()
    assert socket.closed == (1012, "the service restarts: resume with after=2")


async def test_what_this_process_has_not_seen_yet_is_waited_for(studio: Studio, desk: TradingDesk) -> None:
    for _ in range(3):
        desk.place()
    socket = await studio.tune_in(after=2)
    assert socket.sent == []
    await studio.air()
    assert [one["type"] for one in await received(socket, 2)] == ["market", "caught_up"]
    assert socket.positions == [3, 3]


async def test_a_position_beyond_the_log_is_refused(studio: Studio, desk: TradingDesk) -> None:
    desk.place()
    socket = await studio.tune_in(after=2)
    assert await closed(socket) == (4422, "after: position 2 is beyond the log's last position 1")


async def test_a_client_that_resumed_hears_a_heartbeat_when_nothing_comes(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.05)
    desk.place("EURUSD")
    await studio.air()
    socket, silent = await studio.tune_in(after=1, symbol="USDCAD"), await studio.tune_in()
    quiet = await studio.tune_in(symbol="USDCAD")
    desk.place("EURUSD")
    await studio.air()

    async def beats() -> bool:
        return {"type": "heartbeat", "position": 2} in socket.sent

    await wait_until_async(beats, what="a heartbeat")
    assert [one["type"] for one in silent.sent] == ["market"]
    assert (silent.kept_alive[-1], quiet.kept_alive[-1]) == (2, 2)
    await studio.hub.close()
    assert quiet.closed == (1012, "the service restarts: resume with after=2")


async def test_no_heartbeat_overtakes_a_message(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = FeedClient.wait
    silences = iter([True])

    async def silent_until_something_comes(client: FeedClient) -> None:
        if next(silences, False):
            desk.place()
            await studio.air()
            raise TimeoutError
        await wait(client)

    monkeypatch.setattr(FeedClient, "wait", silent_until_something_comes)
    socket = await studio.tune_in(after=0)
    assert [one["type"] for one in await received(socket, 2)] == ["caught_up", "market"]


async def test_no_position_goes_back_where_the_log_was_read_further_than_the_live_log_has_come(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.01)
    for _ in range(3):
        desk.place()
    await studio.air()
    for _ in range(3):
        desk.place()
    socket, silent = await studio.tune_in(after=0), await studio.tune_in()

    async def beats() -> bool:
        return any(one["type"] == "heartbeat" for one in socket.sent) and bool(silent.kept_alive)

    await wait_until_async(beats, what="a heartbeat")
    assert socket.positions == sorted(socket.positions)
    assert socket.positions[-1] == 6
    await studio.hub.close()
    assert socket.closed == (1012, "the service restarts: resume with after=6")


async def test_a_client_hears_everything_after_the_position_that_it_begins_with(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.place()
    await studio.air()
    may_begin = asyncio.Event()
    began: list[int] = []

    async def begin(socket: FakeSocket, position: int) -> None:
        began.append(position)
        await may_begin.wait()

    monkeypatch.setattr(FakeSocket, "begin", begin)
    live, resuming = await studio.tune_in(), await studio.tune_in(after=0)
    desk.place()
    await studio.air()
    may_begin.set()
    await received(resuming, 3)
    assert began == [1, 0]
    assert (live.positions, resuming.positions) == ([2], [1, 2, 2])


async def test_a_shutdown_waits_for_no_database(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.place()
    may_answer = threading.Event()
    monkeypatch.setattr(studio.store, "head", lambda: may_answer.wait(10))
    socket = await studio.tune_in(after=1)
    await studio.hub.close()
    may_answer.set()
    assert socket.closed == (1012, "the service restarts: resume with after=1")


async def test_a_client_catches_up_past_events_that_are_of_no_order(studio: Studio, desk: TradingDesk) -> None:
    desk.place()
    unmatched = ReportUnmatched(
        event_id=uuid4(), at=OPENING, by="tests", venue="v", report_key="k", order_ref="?", report={}
    )
    studio.store.append([Unit(uuid4(), 0, (unmatched,))])
    await studio.air()
    socket = await studio.tune_in(after=0)
    assert [one["type"] for one in await received(socket, 2)] == ["market", "caught_up"]
    assert socket.positions == [1, 2]


async def test_a_client_that_goes_leaves_nothing_behind(studio: Studio, desk: TradingDesk) -> None:
    socket, other = await studio.tune_in(symbol="EURUSD"), await studio.tune_in(order_id=uuid4())
    assert studio.hub.clients == 2
    socket.leave()
    other.leave()
    await wait_until_async(lambda: clients_left(studio, 0))
    desk.place()
    await studio.air()
    assert (socket.sent, socket.closed) == ([], None)
    assert (studio.hub._live_clients, studio.hub._places) == ({}, {})


async def test_messages_of_a_client_are_ignored_up_to_a_bound(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "MAX_CLIENT_MESSAGES", 3)
    socket, chatty = await studio.tune_in(), await studio.tune_in()
    socket.say(10_000)
    for _ in range(3):
        chatty.say(5)
    desk.place()
    await studio.air()
    assert chatty.positions == [1]
    chatty.say(5)
    assert (await closed(socket))[0] == (await closed(chatty))[0] == 1008


async def test_a_shutdown_tells_every_client_and_waits_for_none_that_does_not_read(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "CLOSE_TIMEOUT_S", 0.1)
    idle, busy, stuck = await studio.tune_in(), await studio.tune_in(after=0), await studio.tune_in()
    stuck.reads.clear()
    desk.place()
    await studio.air()
    await studio.hub.close()
    assert idle.closed == busy.closed == (1012, "the service restarts: resume with after=1")
    assert (stuck.closed, stuck.was_cut) == (None, True)
    assert studio.hub.clients == 0
    late = await studio.tune_in()
    assert (await closed(late))[0] == 1012


async def test_an_idle_client_is_told_at_once(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_session, "CLOSE_TIMEOUT_S", 3_600)
    idle = await studio.tune_in()
    await studio.hub.close()
    assert idle.closed is not None


async def test_no_more_clients_than_the_bound_are_taken(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_hub, "MAX_FEED_CLIENTS", 1)
    first, second = await studio.tune_in(), await studio.tune_in()
    assert await closed(second) == (1013, "too many clients, try again later")
    assert first.closed is None


async def test_one_account_leaves_room_for_the_others(studio: Studio) -> None:
    studio.hub._most_of_account = 2
    annas = [await studio.tune_in(account="anna") for _ in range(5)]
    bert = await studio.tune_in(account="bert")
    for refused in annas[2:]:
        assert await closed(refused) == (1013, "too many clients of this account, try again later")
    assert [socket.closed for socket in (*annas[:2], bert)] == [None, None, None]
    annas[0].leave()
    await wait_until_async(lambda: clients_left(studio, 2))
    assert (await studio.tune_in(account="anna")).closed is None


async def test_who_is_refused_takes_no_place(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks again and again, and reads no refusal, shuts nobody out by that."""
    monkeypatch.setattr(feed_hub, "MAX_FEED_CLIENTS", 3)
    studio.hub._most_of_account = 1
    for _ in range(5):
        deaf = FakeSocket()
        deaf.reads.clear()
        studio._sessions.append(asyncio.create_task(studio.serve(deaf, account="anna")))
    await studio.settle()
    assert studio.hub.clients == 5
    assert (await studio.tune_in(account="bert")).closed is None


async def test_a_log_that_cannot_be_read_ends_the_client_that_catches_up(studio: Studio, desk: TradingDesk) -> None:
    desk.place()
    await studio.air()
    studio.store.close()
    socket = await studio.tune_in(after=0)
    assert await closed(socket) == (1012, "the log cannot be read: resume with after=0")


async def test_a_fault_of_ours_closes_the_client_and_is_logged(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(tellings: object) -> None:
        raise ValueError(tellings)

    socket = await studio.tune_in()
    monkeypatch.setattr(socket, "send", broken)
    desk.place()
    await studio.air()
    assert (await closed(socket))[0] == 1011
    assert "a client of the feed is closed" in caplog.text


async def test_a_reason_fits_into_a_close_frame(studio: Studio) -> None:
    socket = FakeSocket()
    await feed_session.close(socket, 4422, "ü" * 100)
    assert socket.closed == (4422, "ü" * 61)
