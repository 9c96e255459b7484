"""Following the log in one thread."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from orders.bounds import POLL_INTERVAL_S
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import BrokenLog, Recorded, StoreUnavailable, UnknownEvent
from orders.eventstore.subscription import MemoryHints, Subscription
from tests.support.log_events import WatchedHints, unit


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


def positions(batch: list[Recorded]) -> list[int]:
    return [event.position for event in batch]


def test_it_catches_up_in_batches_and_then_follows(store: MemoryEventStore) -> None:
    store.append([unit(events=5)])
    subscription = Subscription(store, after=1, hints=store.hints, limit=3)
    assert positions(subscription.next_batch(0)) == [2, 3, 4]
    assert positions(subscription.next_batch(0)) == [5]
    assert subscription.next_batch(0) == []
    store.append([unit(events=2)])
    assert positions(subscription.next_batch(0)) == [6, 7]
    assert subscription.position == 7


def test_a_hint_wakes_it(store: MemoryEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.eventstore.subscription.POLL_INTERVAL_S", 60.0)
    watched = WatchedHints(store.hints)
    subscription = Subscription(store, after=0, hints=watched)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(subscription.next_batch, 60.0)
        assert watched.waited_for.wait(10)
        store.append([unit()])
        assert positions(future.result(10)) == [1]


def test_a_hint_between_read_and_wait_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.eventstore.subscription.POLL_INTERVAL_S", 60.0)

    class AppendsAfterReading(MemoryEventStore):
        def read_log(self, *, after: int, limit: int) -> list[Recorded]:
            found = super().read_log(after=after, limit=limit)
            if self.head() < 3:
                self.append([unit()])
            return found

    store = AppendsAfterReading()
    subscription = Subscription(store, after=0, hints=store.hints)
    began_at = time.monotonic()
    seen = [position for _ in range(3) for position in positions(subscription.next_batch(30.0))]
    assert seen == [1, 2, 3]
    assert time.monotonic() - began_at < 10


def test_without_any_hint_it_polls(store: MemoryEventStore) -> None:
    watched = WatchedHints(MemoryHints())
    subscription = Subscription(store, after=0, hints=watched)
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(subscription.next_batch, 30.0)
        assert watched.waited_for.wait(10)
        store.append([unit()])
        began_at = time.monotonic()
        assert positions(future.result(30)) == [1]
    assert time.monotonic() - began_at < POLL_INTERVAL_S * 20


def test_nothing_within_the_time_is_an_empty_batch(store: MemoryEventStore) -> None:
    began_at = time.monotonic()
    assert Subscription(store, after=0, hints=store.hints).next_batch(0.05) == []
    assert time.monotonic() - began_at >= 0.05


def with_reads(read: Callable[[list[Recorded]], list[Recorded]]) -> MemoryEventStore:
    class Faulty(MemoryEventStore):
        def read_log(self, *, after: int, limit: int) -> list[Recorded]:
            return read(super().read_log(after=after, limit=limit))

    return Faulty()


def test_a_missing_position_is_told_and_never_passed() -> None:
    store = with_reads(lambda batch: [event for event in batch if event.position != 3])
    store.append([unit(events=5)])
    subscription = Subscription(store, after=0, hints=store.hints)
    for _ in range(2):
        with pytest.raises(BrokenLog, match="position 3 is missing"):
            subscription.next_batch(0)
    assert subscription.position == 0


def test_an_event_that_cannot_be_read_holds_up_none_before_it() -> None:
    def read(batch: list[Recorded]) -> list[Recorded]:
        if any(event.position == 6 for event in batch):
            raise UnknownEvent("OrderPlaced.v9")
        return batch

    store = with_reads(read)
    store.append([unit(events=9)])
    subscription = Subscription(store, after=0, hints=store.hints)
    seen: list[int] = []

    def follow() -> None:
        while batch := subscription.next_batch(0):
            seen.extend(positions(batch))

    with pytest.raises(UnknownEvent):
        follow()
    assert seen == [1, 2, 3, 4, 5]
    with pytest.raises(UnknownEvent):
        subscription.next_batch(0)


def test_a_store_that_is_away_costs_no_event() -> None:
    away = Event()

    def read(batch: list[Recorded]) -> list[Recorded]:
        if away.is_set():
            raise StoreUnavailable("away")
        return batch

    store = with_reads(read)
    store.append([unit(events=2)])
    subscription = Subscription(store, after=0, hints=store.hints)
    away.set()
    with pytest.raises(StoreUnavailable):
        subscription.next_batch(0)
    away.clear()
    assert positions(subscription.next_batch(0)) == [1, 2]


def test_closing_the_hints_wakes_who_waits() -> None:
    hints = MemoryHints()
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(hints.wait, 0, 30.0)
        hints.close()
        assert future.result(10) == 1
