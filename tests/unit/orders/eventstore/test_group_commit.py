"""What the writer makes of appends that come while it writes."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future
from uuid import uuid4

import pytest

from orders.eventstore.group_commit import Writer
from orders.eventstore.pending import Result
from orders.eventstore.port import (
    Appended,
    CommitUnknown,
    Conflict,
    StoreClosed,
    StoreOverloaded,
    StoreUnavailable,
    TooLarge,
    Unit,
)
from tests.support.gated_store import GatedStore
from tests.support.log_events import large_unit, unit, whole_log
from tests.support.waiting import wait_until, wait_until_async

WITHIN_S = 10.0


@pytest.fixture
def store() -> GatedStore:
    return GatedStore()


@pytest.fixture
def writer(store: GatedStore) -> Iterator[Writer]:
    writer = Writer(store, max_queued=100, max_batch_units=10, max_batch_bytes=100_000)
    writer.start()
    yield writer
    store.opened()
    writer.close(WITHIN_S)


def occupied(writer: Writer, store: GatedStore) -> Future[Result]:
    """Has the writer wait in an append, so that what is submitted next gathers."""
    future = writer.submit(unit())
    wait_until(lambda: store.batches, what="the append to begin")
    return future


def result(future: Future[Result]) -> Result:
    return future.result(WITHIN_S)


def batch_sizes(store: GatedStore) -> list[int]:
    return [len(batch) for batch in store.batches]


def test_what_gathers_during_a_commit_goes_into_the_next_one(writer: Writer, store: GatedStore) -> None:
    first = occupied(writer, store)
    others = [writer.submit(unit()) for _ in range(7)]
    store.opened()
    assert result(first) == Appended(1, 1)
    assert [result(other) for other in others] == [Appended(n, n) for n in range(2, 9)]
    assert batch_sizes(store) == [1, 7]
    assert writer.last_position == 8


def test_a_batch_is_bounded_in_units(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    others = [writer.submit(unit()) for _ in range(25)]
    store.opened()
    assert [result(other) for other in others] == [Appended(n, n) for n in range(2, 27)]
    assert batch_sizes(store) == [1, 10, 10, 5]


def test_a_batch_is_bounded_in_bytes(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    others = [writer.submit(large_unit(30_000)) for _ in range(7)]
    store.opened()
    assert [result(other) for other in others] == [Appended(n, n) for n in range(2, 9)]
    assert batch_sizes(store) == [1, 3, 3, 1]


def test_a_conflict_is_its_own_units_affair(writer: Writer, store: GatedStore) -> None:
    store.opened()
    taken = unit()
    result(writer.submit(taken))
    store.shut()
    stale, fresh = writer.submit(unit(taken.stream_id)), writer.submit(unit())
    store.opened()
    assert result(stale) == Conflict(taken.stream_id)
    assert isinstance(result(fresh), Appended)


def test_the_same_unit_again_in_one_batch_gets_the_same_positions_without_a_commit(
    writer: Writer, store: GatedStore
) -> None:
    occupied(writer, store)
    one = unit(events=2)
    first, again = writer.submit(one), writer.submit(one)
    store.opened()
    assert result(first) == result(again) == Appended(2, 3)
    assert batch_sizes(store) == [1, 1]


def test_a_rival_of_the_same_version_in_one_batch_conflicts_without_a_commit(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    stream_id = uuid4()
    first, rival = writer.submit(unit(stream_id)), writer.submit(unit(stream_id))
    store.opened()
    assert result(first) == Appended(2, 2)
    assert result(rival) == Conflict(stream_id)
    assert batch_sizes(store) == [1, 1]


def test_a_rival_of_a_unit_that_conflicted_conflicts_too(writer: Writer, store: GatedStore) -> None:
    first = unit()
    waiting = writer.submit(first)
    wait_until(lambda: store.batches, what="the append to begin")
    rivals = [writer.submit(unit(first.stream_id)) for _ in range(2)]
    store.opened()
    assert result(waiting) == Appended(1, 1)
    assert [result(rival) for rival in rivals] == [Conflict(first.stream_id)] * 2
    assert batch_sizes(store) == [1, 1]


def test_what_follows_in_the_same_stream_goes_into_the_next_batch(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    stream_id = uuid4()
    futures = [writer.submit(unit(stream_id, expected_version=version)) for version in range(3)]
    between = writer.submit(unit())
    store.opened()
    assert [result(future) for future in futures] == [Appended(2, 2), Appended(4, 4), Appended(5, 5)]
    assert result(between) == Appended(3, 3)
    assert batch_sizes(store) == [1, 2, 1, 1]


def test_a_unit_that_is_too_large_is_refused_at_once_and_harms_nobody(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    good = writer.submit(unit())
    with pytest.raises(TooLarge):
        writer.submit(large_unit(100_000))
    with pytest.raises(ValueError, match="at least one event"):
        writer.submit(Unit(uuid4(), 0, ()))
    store.opened()
    assert result(good) == Appended(2, 2)


def test_a_full_queue_refuses_and_takes_again_when_it_has_room(writer: Writer, store: GatedStore) -> None:
    waiting = [occupied(writer, store), *(writer.submit(unit()) for _ in range(99))]
    with pytest.raises(StoreOverloaded):
        writer.submit(unit())
    store.opened()
    assert all(isinstance(result(future), Appended) for future in waiting)
    assert isinstance(result(writer.submit(unit())), Appended)
    assert writer.queued == 0


def test_a_unit_whose_time_ended_in_the_queue_fails_without_being_sent(store: GatedStore) -> None:
    store.frozen = True
    writer = Writer(store, timeout_s=0.1)
    writer.start()
    first = occupied(writer, store)
    queued = writer.submit(unit())
    ends_at = time.monotonic() + 0.1
    wait_until(lambda: time.monotonic() > ends_at, what="the unit's time to end")
    store.opened()
    assert result(first) == Appended(1, 1)
    with pytest.raises(StoreUnavailable):
        result(queued)
    assert batch_sizes(store) == [1]
    assert result(writer.submit(unit())) == Appended(2, 2)
    writer.close(WITHIN_S)


def test_the_store_gets_no_more_time_than_the_oldest_unit_has_left(writer: Writer, store: GatedStore) -> None:
    store.opened()
    result(writer.submit(unit()))
    assert 7.0 < store.timeouts_s[0] <= 8.0


@pytest.mark.parametrize(
    ("failure", "told"), [(StoreUnavailable("away"), StoreUnavailable), (ZeroDivisionError(), CommitUnknown)]
)
def test_the_thread_survives_a_failed_append(
    writer: Writer, store: GatedStore, failure: Exception, told: type[Exception]
) -> None:
    store.opened()
    store.fail_with = failure
    failed = [writer.submit(unit()) for _ in range(3)]
    for future in failed:
        with pytest.raises(told):
            result(future)
    store.fail_with = None
    assert isinstance(result(writer.submit(unit())), Appended)
    assert writer.queued == 0


def test_nothing_is_decided_from_an_append_that_failed(writer: Writer, store: GatedStore) -> None:
    store.fail_with = StoreUnavailable("away")
    stream_id = uuid4()
    first = writer.submit(unit(stream_id))
    wait_until(lambda: store.batches, what="the append to begin")
    rival = writer.submit(unit(stream_id))
    store.let()
    with pytest.raises(StoreUnavailable):
        result(first)
    store.fail_with = None
    store.opened()
    assert result(rival) == Appended(1, 1)


def test_closing_drains_and_then_refuses(writer: Writer, store: GatedStore) -> None:
    waiting = [occupied(writer, store), *(writer.submit(unit()) for _ in range(50))]
    store.opened()
    writer.close(WITHIN_S)
    assert all(future.done() and isinstance(future.result(), Appended) for future in waiting)
    with pytest.raises(StoreClosed):
        writer.submit(unit())
    writer.close(WITHIN_S)


def test_closing_in_time_fails_what_is_not_under_way(writer: Writer, store: GatedStore) -> None:
    under_way = occupied(writer, store)
    queued = [writer.submit(unit()) for _ in range(3)]
    writer.close(0.05)
    for future in queued:
        with pytest.raises(StoreClosed):
            result(future)
    store.opened()
    assert result(under_way) == Appended(1, 1)
    assert len(whole_log(store)) == 1


def test_a_writer_that_was_not_started_takes_nothing(store: GatedStore) -> None:
    with pytest.raises(StoreClosed):
        Writer(store).submit(unit())


def test_a_future_that_is_cancelled_in_the_queue_is_not_written(writer: Writer, store: GatedStore) -> None:
    occupied(writer, store)
    unwanted, wanted = writer.submit(unit()), writer.submit(unit())
    assert unwanted.cancel()
    store.opened()
    assert result(wanted) == Appended(2, 2)
    assert store.head() == 2
    assert writer.queued == 0


@pytest.mark.anyio
async def test_a_batch_wakes_its_loop_once(writer: Writer, store: GatedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakes: list[object] = []
    call_soon_threadsafe = loop.call_soon_threadsafe

    def counted(callback, *args, **kwargs):  # type: ignore[no-untyped-def]
        wakes.append(callback)
        return call_soon_threadsafe(callback, *args, **kwargs)

    first = asyncio.ensure_future(writer.append(unit()))
    await wait_until_async(lambda: _soon(bool(store.batches)), what="the append to begin")
    others = [asyncio.ensure_future(writer.append(unit())) for _ in range(9)]
    await wait_until_async(lambda: _soon(writer.queued == 10), what="all to be queued")
    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    store.opened()
    assert await asyncio.gather(first, *others) == [Appended(n, n) for n in range(1, 11)]
    assert len(wakes) == 2


@pytest.mark.anyio
async def test_a_cancelled_waiter_does_not_break_its_batch(writer: Writer, store: GatedStore) -> None:
    first = asyncio.ensure_future(writer.append(unit()))
    await wait_until_async(lambda: _soon(bool(store.batches)), what="the append to begin")
    second, third = (asyncio.ensure_future(writer.append(unit())) for _ in range(2))
    await wait_until_async(lambda: _soon(writer.queued == 3), what="all to be queued")
    first.cancel()
    second.cancel()
    store.opened()
    assert await third == Appended(3, 3)
    assert await writer.append(unit()) == Appended(4, 4)


@pytest.mark.anyio
async def test_what_belongs_together_is_one_commit_of_its_own(writer: Writer, store: GatedStore) -> None:
    first = asyncio.ensure_future(writer.append(unit()))
    await wait_until_async(lambda: _soon(bool(store.batches)), what="the append to begin")
    tasks = [
        asyncio.ensure_future(writer.append(unit())),
        asyncio.ensure_future(writer.append_whole([unit() for _ in range(30)])),
        asyncio.ensure_future(writer.append(unit())),
    ]
    await wait_until_async(lambda: _soon(writer.queued == 33), what="all to be queued")
    store.opened()
    await first
    assert await asyncio.gather(*tasks) == [Appended(2, 2), [Appended(n, n) for n in range(3, 33)], Appended(33, 33)]
    assert batch_sizes(store) == [1, 1, 30, 1]


@pytest.mark.anyio
async def test_a_key_twice_in_one_commit_is_settled_in_memory(writer: Writer, store: GatedStore) -> None:
    store.opened()
    one = unit()
    rival, other = unit(one.stream_id), unit()
    results = await writer.append_whole([one, rival, other, one])
    assert results == [Appended(1, 1), Conflict(one.stream_id), Appended(2, 2), Appended(1, 1)]
    assert batch_sizes(store) == [2]
    assert await writer.append_whole([]) == []
    with pytest.raises(ValueError, match="two units of stream"):
        await writer.append_whole([one, unit(one.stream_id, expected_version=1)])


@pytest.mark.anyio
async def test_a_closed_loop_harms_nobody(writer: Writer, store: GatedStore) -> None:
    async def leave_a_waiter() -> None:
        task = asyncio.ensure_future(writer.append(unit()))
        await wait_until_async(lambda: _soon(bool(store.batches)), what="the append to begin")
        task.cancel()

    await asyncio.to_thread(asyncio.run, leave_a_waiter())
    store.opened()
    assert await writer.append(unit()) == Appended(2, 2)


async def _soon(value: bool) -> bool:
    await asyncio.sleep(0)
    return value
