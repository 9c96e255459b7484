"""The log for clients that catch up: read and decoded once for all that come back at once."""

import asyncio
import threading
from typing import Any

import pytest

from orders.eventstore.port import BrokenLog, Recorded, StoreUnavailable
from projections import feed_log
from tests.support.feed_sockets import Studio, received
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_log, "REPLAY_PAGE", 10)


async def test_clients_that_come_back_at_once_each_after_its_own_position_share_what_is_read(
    studio: Studio, desk: TradingDesk
) -> None:
    for _ in range(35):
        desk.place()
    await studio.air()
    sockets = [await studio.tune_in(after=number) for number in range(35)]
    for number, socket in enumerate(sockets):
        await received(socket, 36 - number)
        assert socket.positions == [*range(number + 1, 36), 35]
    assert studio.reader.pages_read == 4


async def test_the_last_page_grows_with_the_log(studio: Studio, desk: TradingDesk) -> None:
    for count in (3, 4, 13):
        for _ in range(count):
            desk.place()
        await studio.air()
        socket = await studio.tune_in(after=1)
        await received(socket, len(desk.log()))
        assert socket.positions == [*range(2, len(desk.log()) + 1), len(desk.log())]
    assert studio.reader.pages_read == 4


async def test_who_waits_for_the_same_page_waits_for_one_read_even_when_another_gives_up(
    studio: Studio, desk: TradingDesk
) -> None:
    desk.place()
    first, second = (asyncio.ensure_future(studio.reader.page(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert [entry.position for entry in (await second).content] == [1]
    assert studio.reader.pages_read == 1


async def test_no_more_pages_are_kept_than_the_bound(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_log, "MAX_REPLAY_PAGES", 2)
    for _ in range(50):
        desk.place()
    for after in range(50):
        assert (await studio.reader.page(after)).last == after // 10 * 10 + 10
    assert studio.reader.pages_read == 5
    await studio.reader.page(0)
    assert studio.reader.pages_read == 6


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: int) -> None:
        raise StoreUnavailable("gone")

    desk.place()
    with monkeypatch.context() as broken:
        broken.setattr(studio.store, "read_log", fails)
        outcomes = await asyncio.gather(*(studio.reader.page(0) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert (await studio.reader.page(0)).last == 1


async def test_a_log_that_lacks_what_it_had_is_broken(studio: Studio, desk: TradingDesk) -> None:
    desk.place()
    with pytest.raises(BrokenLog):
        await studio.reader.page(1)


async def test_who_asks_for_what_was_committed_after_a_read_under_way_began_gets_it(
    studio: Studio, desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.place()
    has_read, may_answer = threading.Event(), threading.Event()
    read_log = studio.store.read_log

    def slow(**asked: Any) -> list[Recorded]:
        batch = read_log(**asked)
        has_read.set()
        assert may_answer.wait(10)
        return batch

    monkeypatch.setattr(studio.store, "read_log", slow)
    early = asyncio.create_task(studio.reader.page(0))
    await asyncio.to_thread(has_read.wait, 10)
    desk.place()
    late = [asyncio.create_task(studio.reader.page(1)) for _ in range(2)]
    await studio.settle()
    may_answer.set()
    assert [page.last for page in (await early, *await asyncio.gather(*late))] == [1, 2, 2]
    assert studio.reader.pages_read == 2
