"""The channel books where they cannot be read at once, and for clients that do not wait for them."""

import asyncio

import pytest

from projections import feed_books, feed_client
from projections.errors import ReadsUnavailable
from projections.feed_books import FeedBooks
from tests.support.desk_reads import DeskReads
from tests.support.feed_sockets import Studio, clients_left
from tests.support.shown_books import ALL, BOOKS, shown, shows, times_asked
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


async def test_while_a_book_is_read_again_later_messages_wait_for_it_but_not_for_long(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_books, "BOOK_HOLD_S", 0.3)
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    reads.permits = asyncio.Semaphore(0)
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await wait_until_async(lambda: times_asked(reads, 2), what="a book that is being read")
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    reads.permits.release()
    await wait_until_async(lambda: times_asked(reads, 3), what="the same book, read again")
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    assert [one["position"] for one in socket.sent if "event" in one] == [1, 2]

    async def no_longer_held() -> bool:
        return [one["position"] for one in socket.sent if "event" in one] == [1, 2, 3]

    await wait_until_async(no_longer_held, what="the message that was held")
    for _ in range(9):
        reads.permits.release()

    async def newest() -> bool:
        return ("EURUSD", 3, 3) in shown(socket)

    await wait_until_async(newest, what="the newest book")
    assert socket.positions == sorted(socket.positions)


async def test_a_read_side_that_is_behind_is_asked_again(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    reads.holds = 0
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await wait_until_async(lambda: times_asked(reads, 3), what="a second try")
    reads.holds = None
    await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 1, 1))


async def test_a_fault_of_ours_is_logged_and_the_next_change_is_told(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, caplog: pytest.LogCaptureFixture
) -> None:
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    permits, reads.permits = reads.permits, None  # type: ignore[assignment]
    desk.place("EURUSD", 1, "1.1")
    await studio.air()

    async def logged() -> bool:
        return "left out" in caplog.text

    await wait_until_async(logged, what="the fault in the log")
    reads.permits = permits
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 2, 2))


async def test_a_read_side_that_does_not_answer_at_first_is_asked_again(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise ReadsUnavailable

    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    with monkeypatch.context() as broken:
        broken.setattr(reads, "orders", unavailable)
        socket = await studio.tune_in(channels=BOOKS)
        await studio.settle()
    await shows(socket, ("EURUSD", 1, 1))


async def test_first_books_that_cannot_be_found_hold_up_nobody_else(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise ReadsUnavailable

    one = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(one, ("EURUSD", 0, 0))
    monkeypatch.setattr(reads, "orders", unavailable)
    others = await studio.tune_in(channels=BOOKS)
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await shows(one, ("EURUSD", 0, 0), ("EURUSD", 1, 1))
    await shows(others, ("EURUSD", 1, 1))


async def test_a_client_of_books_and_more_gets_books_however_far_the_projector_lags_in_the_time_for_one(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    reads.lag_s = 0.4

    async def another_book() -> bool:
        desk.place("EURUSD", 1, "1.1")
        await studio.air()
        return len(shown(socket)) == 2

    await wait_until_async(another_book, within_s=5, what="a book in a flow of messages")
    assert socket.positions == sorted(socket.positions)


async def test_who_waits_for_a_book_does_not_fall_behind_by_that(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_client, "MAX_CLIENT_QUEUE", 10)
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    reads.permits = asyncio.Semaphore(0)
    for number in (1, 2):
        desk.place("EURUSD", 1, "1.1")
        await studio.air()
        await wait_until_async(lambda times=number + 1: times_asked(reads, times), what="a book that is being read")
        if number == 1:
            desk.place("EURUSD", 1, "1.1")
            await studio.air()
            reads.permits.release()
    for _ in range(20):
        desk.place("EURUSD", 1, "1.1")
        await studio.air()
    assert [one["position"] for one in socket.sent if "event" in one] == list(range(1, 24))
    assert socket.closed is None


async def test_a_snapshot_that_is_ahead_of_this_process_waits_for_it(
    studio: Studio, desk: TradingDesk, books: FeedBooks
) -> None:
    desk.place("EURUSD", 1, "1.1")
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await studio.settle()
    assert socket.sent == []
    await studio.air()
    await shows(socket, ("EURUSD", 1, 1))
    assert [one["type"] for one in socket.sent] == ["limit", "book"]


async def test_clients_that_went_are_owed_nothing(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    socket.leave()

    async def gone() -> bool:
        return studio.hub.clients == 0

    await wait_until_async(gone, what="the end of the client")
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await studio.settle()
    assert reads.asked == {"EURUSD": 1}
    assert not books._watching


async def test_nothing_is_kept_for_clients_that_went_while_the_books_could_not_be_read(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    reads.holds = -1
    for _ in range(3):
        asked = reads.asked["EURUSD"]
        socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
        await wait_until_async(lambda asked=asked: times_asked(reads, asked + 1), what="a try")
        socket.leave()
        await wait_until_async(lambda: clients_left(studio, 0), what="the end of the client")
    assert books._owed == {}


async def test_nothing_queued_is_kept_of_a_client_that_went(studio: Studio, desk: TradingDesk) -> None:
    socket = await studio.tune_in()
    (client,) = studio.hub._clients
    socket.reads.clear()
    for _ in range(3):
        desk.place()
    await studio.air()
    assert not client.idle
    socket.leave()
    await wait_until_async(lambda: clients_left(studio, 0), what="the end of the client")
    assert client.idle
