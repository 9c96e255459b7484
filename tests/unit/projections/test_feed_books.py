"""The channel books: snapshots of what changed, read once for all, each at its place among the other messages."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orders.parameters import Asked
from projections import feed_books, feed_client, feed_session
from projections.errors import ReadsUnavailable
from projections.feed_books import FeedBooks
from projections.order_book import Book
from projections.queries import Answer, BookQuery
from tests.support.desk_reads import DeskReads
from tests.support.feed_sockets import FakeSocket, Studio, clients_left
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def reads(desk: TradingDesk) -> DeskReads:
    return DeskReads(desk)


@pytest.fixture
async def books(studio: Studio, reads: DeskReads, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedBooks]:
    monkeypatch.setattr(feed_books, "BOOK_INTERVAL_S", 0.05)
    books = FeedBooks(studio.hub, reads)
    books.start()
    yield books
    await books.close()


BOOKS = frozenset({"books"})
ALL = frozenset({"orders", "trades", "books"})


def shown(socket: FakeSocket) -> list[tuple[str, int, int]]:
    """Symbol, position and open quantity of the books that were sent."""
    return [
        (one["symbol"], one["position"], sum(level["quantity"] for level in one["bids"]))
        for one in socket.sent
        if one.get("type") == "book"
    ]


async def shows(socket: FakeSocket, *expected: tuple[str, int, int]) -> None:
    async def all_there() -> bool:
        return shown(socket) == list(expected)

    await wait_until_async(all_there, what=f"{expected}, not {shown(socket)}")


async def test_a_client_gets_the_book_as_it_is_then_each_change(
    studio: Studio, desk: TradingDesk, books: FeedBooks
) -> None:
    desk.place("EURUSD", 10, "1.1")
    await studio.air()
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(socket, ("EURUSD", 1, 10))
    desk.place("USDCAD", 10, "1.1")
    desk.place("EURUSD", 5, "1.1")
    await studio.air()
    await shows(socket, ("EURUSD", 1, 10), ("EURUSD", 3, 15))


async def test_without_a_symbol_all_books_with_open_orders_come_first(
    studio: Studio, desk: TradingDesk, books: FeedBooks
) -> None:
    desk.place("EURUSD", 10, "1.1")
    desk.place("USDCAD", 20, "1.1")
    desk.cancel(desk.place("CADUSD", 30, "1.1"))
    await studio.air()
    socket = await studio.tune_in(channels=BOOKS)

    async def both() -> bool:
        return sorted(shown(socket)) == [("EURUSD", 4, 10), ("USDCAD", 4, 20)]

    await wait_until_async(both, what="both books")


async def test_a_book_is_read_once_for_all_clients_however_much_changes(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = [await studio.tune_in(channels=BOOKS, symbol="EURUSD") for _ in range(5)]
    for socket in sockets:
        await shows(socket, ("EURUSD", 0, 0))
    reads.asked.clear()
    for _ in range(20):
        desk.place("EURUSD", 1, "1.1")
    await studio.air()
    for socket in sockets:
        await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 20, 20))
    assert reads.asked == {"EURUSD": 1}


async def test_market_orders_and_details_move_no_book(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    desk.place("EURUSD", 10)
    await studio.air()
    desk.place("EURUSD", 10, "1.1")
    await studio.air()
    await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 2, 20))
    assert reads.asked == {"EURUSD": 2}


async def test_a_client_that_resumes_gets_its_books_after_it_has_caught_up(
    studio: Studio, desk: TradingDesk, books: FeedBooks
) -> None:
    for _ in range(3):
        desk.place("EURUSD", 10, "1.1")
    await studio.air()
    both = await studio.tune_in(channels=ALL, after=1, symbol="EURUSD")
    only = await studio.tune_in(channels=BOOKS, after=1, symbol="EURUSD")
    await shows(both, ("EURUSD", 3, 30))
    await shows(only, ("EURUSD", 3, 30))
    assert [one["type"] for one in both.sent] == ["limit", "limit", "caught_up", "book"]
    assert [one["type"] for one in only.sent] == ["caught_up", "book"]
    assert only.positions == [3, 3]


async def test_a_book_stands_behind_all_up_to_its_position_and_before_all_later(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks
) -> None:
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    reads.permits = asyncio.Semaphore(0)
    desk.place("EURUSD", 1, "1.1")
    await studio.air()

    async def asked() -> bool:
        return reads.asked["EURUSD"] == 2

    await wait_until_async(asked, what="a book that is being read")
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    reads.permits.release()
    reads.permits.release()

    async def newest() -> bool:
        return ("EURUSD", 2, 2) in shown(socket)

    await wait_until_async(newest, what="the newest book")
    assert socket.positions == sorted(socket.positions)
    assert shown(socket) == [("EURUSD", 0, 0), ("EURUSD", 2, 2)]


async def test_a_book_that_was_waited_for_stands_before_what_waited(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_books, "BOOK_HOLD_S", 10.0)
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
    reads.permits.release()
    await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 2, 2))
    assert [(one["type"], one["position"]) for one in socket.sent[1:]] == [
        ("limit", 1),
        ("limit", 2),
        ("book", 2),
        ("limit", 3),
    ]


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


async def times_asked(reads: DeskReads, times: int) -> bool:
    return reads.asked["EURUSD"] >= times


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
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await studio.tune_in(channels=ALL, symbol="EURUSD")
    await shows(socket, ("EURUSD", 0, 0))
    book = reads.book

    async def lagging(query: BookQuery, asked: Asked) -> Answer[Book]:
        answer = await book(query, asked)
        await asyncio.sleep(0.4)
        return answer

    monkeypatch.setattr(reads, "book", lagging)

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


async def test_a_heartbeat_and_a_book_never_go_back(
    studio: Studio, desk: TradingDesk, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.01)
    socket: Any = await studio.tune_in(channels=ALL, after=0)
    for count in range(1, 6):
        desk.place("EURUSD", 1, "1.1")
        await studio.air()

        async def beats(position: int = count) -> bool:
            return {"type": "heartbeat", "position": position} in socket.sent

        await wait_until_async(beats, what="a heartbeat")

    async def newest() -> bool:
        return ("EURUSD", 5, 5) in shown(socket)

    await wait_until_async(newest, what="the newest book")
    assert socket.positions == sorted(socket.positions)


async def test_a_book_that_is_read_while_a_heartbeat_is_under_way_does_not_follow_it(
    studio: Studio, desk: TradingDesk, reads: DeskReads, books: FeedBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_session, "HEARTBEAT_S", 0.2)
    socket = await studio.tune_in(channels=BOOKS, symbol="EURUSD", after=0)
    await shows(socket, ("EURUSD", 0, 0))
    reads.permits = asyncio.Semaphore(0)
    desk.place("EURUSD", 1, "1.1")
    await studio.air()
    await wait_until_async(lambda: times_asked(reads, 2), what="a book that is being read")
    desk.place("USDCAD", 1, "1.1")
    await studio.air()
    socket.reads.clear()

    async def under_way() -> bool:
        return {"type": "heartbeat", "position": 2} in socket.sent

    await wait_until_async(under_way, what="a heartbeat")
    for _ in range(9):
        reads.permits.release()
    await studio.settle()
    socket.reads.set()
    await shows(socket, ("EURUSD", 0, 0), ("EURUSD", 2, 1))
    assert socket.positions == sorted(socket.positions)


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
