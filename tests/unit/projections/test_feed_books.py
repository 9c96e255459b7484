"""The channel books: snapshots of what changed, read once for all, each at its place among the other messages."""

import asyncio
from typing import Any

import pytest

from projections import feed_books, feed_session
from projections.feed_books import FeedBooks
from tests.support.desk_reads import DeskReads
from tests.support.feed_sockets import Studio
from tests.support.shown_books import ALL, BOOKS, shown, shows, times_asked
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio


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


async def test_one_orders_client_hears_of_it_alone_and_sees_the_book_of_the_symbol_that_it_names(
    studio: Studio, desk: TradingDesk, books: FeedBooks
) -> None:
    order_id = desk.place("EURUSD", 10, "1.1")
    await studio.air()
    channels = frozenset({"orders", "books"})
    alone = await studio.tune_in(channels=channels, order_id=order_id)
    beside = await studio.tune_in(channels=channels, order_id=order_id, symbol="EURUSD")
    await shows(beside, ("EURUSD", 1, 10))
    desk.place("EURUSD", 5, "1.1")
    desk.place("USDCAD", 5, "1.1")
    desk.cancel(order_id)
    await studio.air()
    await shows(beside, ("EURUSD", 1, 10), ("EURUSD", 4, 5))
    assert [one.get("event") for one in alone.sent] == ["OrderCanceled"]
    assert [one["event"] for one in beside.sent if "event" in one] == ["OrderCanceled"]


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
