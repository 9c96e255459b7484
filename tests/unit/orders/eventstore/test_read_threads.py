"""Reads behind a store that is frozen are bounded, in number and in the time until they begin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from orders.eventstore.port import StoreOverloaded, StoreUnavailable
from orders.eventstore.read_threads import ReadThreads
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

TURN_S = 0.05
SOON_S = 5.0


class Frozen:
    """A store whose reads begin, and end once it thaws."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._thawed = Event()

    def read(self, name: str) -> str:
        self.begun.append(name)
        assert self._thawed.wait(SOON_S)
        return name

    def thaw(self) -> None:
        self._thawed.set()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    store = Frozen()
    yield store
    store.thaw()


@pytest.fixture
def thread(frozen: Frozen) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
        frozen.thaw()


def reading(threads: ReadThreads, store: Frozen, *names: str) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(threads.run(lambda name=name: store.read(name))) for name in names]  # type: ignore[misc]


async def begun(store: Frozen, name: str) -> None:
    async def has_begun() -> bool:
        return name in store.begun

    assert await wait_until_async(has_begun)


async def test_a_read_that_finds_no_thread_in_time_is_given_up_and_never_begins(
    frozen: Frozen, thread: ThreadPoolExecutor
) -> None:
    threads = ReadThreads(thread, turn_s=TURN_S)
    (first,) = reading(threads, frozen, "first")
    await begun(frozen, "first")
    async with asyncio.timeout(SOON_S):
        for waiting in reading(threads, frozen, "second", "third"):
            with pytest.raises(StoreUnavailable, match=r"no thread was free within 0\.05 s"):
                await waiting
        with pytest.raises(StoreUnavailable):
            await threads.run(lambda: frozen.read("fourth"))
    frozen.thaw()
    assert await first == "first"  # it took longer than a turn: that is for the store to bound
    assert await threads.run(lambda: frozen.read("fifth")) == "fifth"
    assert frozen.begun == ["first", "fifth"]


async def test_past_the_most_reads_are_refused_at_once_until_one_has_ended(
    frozen: Frozen, thread: ThreadPoolExecutor
) -> None:
    threads = ReadThreads(thread, most=2, turn_s=SOON_S)
    taken = reading(threads, frozen, "first", "second")
    await begun(frozen, "first")
    with pytest.raises(StoreOverloaded, match="2 reads of the log wait already"):
        await threads.run(lambda: frozen.read("third"))
    frozen.thaw()
    assert await asyncio.gather(*taken) == ["first", "second"]
    assert await threads.run(lambda: frozen.read("fourth")) == "fourth"


async def test_who_does_not_wait_any_longer_leaves_its_place_and_hears_of_no_fault(
    frozen: Frozen, thread: ThreadPoolExecutor
) -> None:
    threads = ReadThreads(thread, most=2, turn_s=SOON_S)
    (first,) = reading(threads, frozen, "first")
    await begun(frozen, "first")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await threads.run(lambda: frozen.read("left"))
    (second,) = reading(threads, frozen, "second")
    frozen.thaw()
    assert await asyncio.gather(first, second) == ["first", "second"]
    assert "left" not in frozen.begun


async def test_what_a_read_raises_is_raised(thread: ThreadPoolExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        await ReadThreads(thread).run(lambda: 1 // 0)
