"""A client that reads too slowly is closed with the position to resume from, and costs the others nothing."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from orders.bounds import READ_BATCH_EVENTS
from orders.eventstore.live_log import HANDED_OVER
from orders.eventstore.port import Recorded
from projections import feed_client, feed_session
from projections.feed import Telling
from tests.support.feed_sockets import FakeSocket, Studio, clients_left, closed, received
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


async def test_a_client_that_does_not_read_is_closed_with_its_position_and_the_others_go_on(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    monkeypatch.setattr(feed_session, "CLOSE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(feed_session, "SLOW_CLOSE_TIMEOUT_S", 0.2)
    slow, good = await studio.tune_in(), await studio.tune_in()
    for _ in range(3):
        desk.place()
    await studio.air()
    slow.reads.clear()
    for _ in range(5):
        for _ in range(5):
            desk.place()
        await studio.air()
    assert good.positions == list(range(1, 29))
    await wait_until_async(lambda: clients_left(studio, 1), what="the slow client's end")
    assert (slow.closed, slow.was_cut, good.was_cut) == (None, True, False)
    assert studio.hub.closed_slow == 1


async def test_a_client_that_never_reads_is_told_at_once_where_to_resume_for_when_it_reads_again(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(feed_session, "GOODBYE_FLUSH_S", 0.05)
    slow = await studio.tune_in()
    slow.has_room = True
    slow.reads.clear()
    desk.place()
    await studio.air()
    assert await closed(slow) == (4408, "too slow: resume with after=1")
    assert not slow.was_cut
    await wait_until_async(lambda: clients_left(studio, 0), what="the end of the client")
    assert slow.was_cut


async def test_a_slow_client_that_reads_again_hears_where_to_resume_without_gap_or_repeat(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    slow = await studio.tune_in()
    slow.reads.clear()
    desk.place()
    await studio.air()
    for _ in range(12):
        desk.place()
    await studio.air()
    slow.reads.set()
    assert await closed(slow) == (4408, "too slow: resume with after=1")
    assert slow.positions == [1]
    again = await studio.tune_in(after=1)
    await received(again, 13)
    assert again.positions == [*range(2, 14), 13]


async def test_a_client_that_paused_hears_where_to_resume_with_the_message_under_way_behind_it(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(feed_session, "CLOSE_TIMEOUT_S", 0.05)
    for _ in range(3):
        desk.place()
    await studio.air()
    live, resuming = await studio.tune_in(), await studio.tune_in(after=0)
    await received(resuming, 4)
    live.reads.clear()
    resuming.reads.clear()
    desk.place()
    desk.place()
    await studio.air()
    await wait_until_async(lambda: _offered_nothing_more(studio), what="the end of both")
    for paused in (live, resuming):
        paused.reads.set()
        assert await closed(paused) == (4408, "too slow: resume with after=4")
        assert paused.positions[-1] == 4


async def _offered_nothing_more(studio: Studio) -> bool:
    return all(client.ending is not None for client in studio.hub._clients)


async def test_a_burst_of_the_live_log_closes_nobody_who_reads(studio: Studio, desk: TradingDesk) -> None:
    socket = await studio.tune_in()
    desk.place(client_order_id="k" * 128)
    (recorded,) = desk.log()
    largest = HANDED_OVER * READ_BATCH_EVENTS
    studio.hub.publish([Recorded(n, recorded.stream_id, 1, recorded.event) for n in range(1, largest + 1)])
    await received(socket, largest)


async def test_a_queue_is_bounded_in_bytes_too(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE_BYTES", 2_000)
    slow = await studio.tune_in()
    for _ in range(10):
        desk.place()
    await studio.air()
    assert (await closed(slow))[0] == 4408


async def test_a_message_that_cannot_be_sent_in_time_closes_a_quiet_client(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(feed_session, "CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(feed_session, "SLOW_CLOSE_TIMEOUT_S", 0.05)
    slow = await studio.tune_in()
    slow.reads.clear()
    desk.place()
    await studio.air()
    await wait_until_async(lambda: clients_left(studio, 0), what="the end of the client")
    assert studio.hub.closed_slow == 1


async def test_an_event_loop_that_stood_still_makes_nobody_slow(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "SEND_TIMEOUT_S", 0.06)
    send = FakeSocket.send

    async def sent_by_a_server(socket: FakeSocket, tellings: Sequence[Telling]) -> None:
        """It is known some turns of the loop later."""
        await send(socket, tellings)
        for _ in range(3):
            await asyncio.sleep(0)

    monkeypatch.setattr(FakeSocket, "send", sent_by_a_server)
    clients = [await studio.tune_in() for _ in range(3)]
    for client in clients:
        client.reads.clear()
    desk.place()
    await studio.air()
    for client in clients:
        client.reads.set()
    stands_still_until = time.monotonic() + 0.1  # longer than the time for a frame
    while time.monotonic() < stands_still_until:
        pass
    await studio.settle()
    desk.place()
    await studio.air()
    assert [client.positions for client in clients] == [[1, 2]] * 3
    assert [client.closed for client in clients] == [None] * 3
