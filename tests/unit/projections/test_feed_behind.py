"""A client that gave a position and falls behind goes back to the log: it is told so, and misses nothing."""

import tracemalloc

import pytest

from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN
from orders.eventstore.port import Recorded
from projections import feed_client
from projections.bounds import MAX_CLIENT_BYTES, MAX_CLIENT_QUEUE, MAX_CLIENT_QUEUE_BYTES
from projections.feed import Subscription, entries
from projections.feed_client import FeedClient
from tests.support.feed_sockets import FakeSocket, Studio, clients_left, received
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


async def ran_over(studio: Studio, desk: TradingDesk, socket: FakeSocket) -> None:
    """Its queue, while it does not read."""
    socket.reads.clear()
    for _ in range(13):
        desk.place()
        await studio.air()
    socket.reads.set()


def told(socket: FakeSocket) -> list[tuple[str, int]]:
    """What is of no order, with its position."""
    return [(one["type"], one["position"]) for one in socket.sent if "event" not in one]


async def test_it_is_told_served_from_the_log_and_told_when_it_has_caught_up_again(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    desk.place()
    await studio.air()
    socket = await studio.tune_in(after=0)
    await ran_over(studio, desk, socket)
    await received(socket, 17)
    desk.place()
    await studio.air()
    assert [one["position"] for one in socket.sent if "event" in one] == list(range(1, 16))
    assert told(socket) == [("caught_up", 1), ("fell_behind", 2), ("caught_up", 14)]
    assert socket.positions == sorted(socket.positions)
    assert (socket.closed, studio.hub.closed_slow) == (None, 0)


async def test_it_may_fall_behind_again_and_again(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    socket = await studio.tune_in(after=0, detail=True)
    for rounds in range(1, 4):
        await ran_over(studio, desk, socket)
        await received(socket, 1 + rounds * 15)
    assert [one["position"] for one in socket.sent if "event" in one] == list(range(1, 40))
    assert [kind for kind, _ in told(socket)] == ["caught_up", *["fell_behind", "caught_up"] * 3]


async def test_one_that_goes_while_it_is_behind_leaves_nothing(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    socket = await studio.tune_in(after=0)
    socket.reads.clear()
    for _ in range(13):
        desk.place()
        await studio.air()
    socket.leave()
    await wait_until_async(lambda: clients_left(studio, 0))
    assert studio.hub._live_clients == {}


async def test_several_messages_come_in_one_frame_where_the_client_takes_that(
    studio: Studio, desk: TradingDesk
) -> None:
    batched, single = await studio.tune_in(batch=True), await studio.tune_in()
    for _ in range(20):
        desk.place()
    await studio.air()
    assert batched.positions == single.positions == list(range(1, 21))
    assert (batched.frames, single.frames) == ([20], [1] * 20)


async def test_a_frame_is_bounded_in_messages_and_bytes(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_FRAME_MESSAGES", 8)
    by_count = await studio.tune_in(batch=True)
    for _ in range(20):
        desk.place()
    await studio.air()
    assert by_count.frames == [8, 8, 4]
    monkeypatch.setattr(FakeSocket, "frame_bytes", 1_500)
    by_bytes = await studio.tune_in(batch=True, after=0)
    await received(by_bytes, 21)
    assert by_bytes.frames == [3] * 6 + [2, 1]


async def test_the_messages_of_one_position_are_never_parted(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_FRAME_MESSAGES", 1)
    socket = await studio.tune_in(channels=frozenset({"orders", "trades"}), batch=True)
    desk.fill(desk.place(), 100)
    await studio.air()
    assert socket.frames == [1, 2]
    assert [one.get("more") for one in socket.sent] == [None, True, None]


async def test_what_a_client_that_does_not_read_costs_in_memory_is_bounded(desk: TradingDesk) -> None:
    """Its queue is filled to the brim with texts of characters that take four bytes each, and shares none of them."""
    assert desk.do(desk.place(), c.RecordRejected, reason="𝄞" * 500)
    rejected = desk.log()[-1]
    client = FeedClient(Subscription())
    position = held = 0
    tracemalloc.start()
    try:
        while client.ending is None:
            held, _ = tracemalloc.get_traced_memory()
            position += 1
            (entry,) = entries([Recorded(position, rejected.stream_id, 2, rejected.event)], BUILT_IN)
            client.offer(entry)
    finally:
        tracemalloc.stop()
    assert MAX_CLIENT_QUEUE_BYTES < held < MAX_CLIENT_BYTES
    assert position < MAX_CLIENT_QUEUE
