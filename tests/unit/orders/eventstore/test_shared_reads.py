"""One read of the log for all who follow it in a process: what each would have read for itself."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import BrokenLog, Recorded, StoreUnavailable, UnknownEvent
from orders.eventstore.shared_reads import SharedReads
from orders.eventstore.subscription import MemoryHints, Subscription
from tests.support.log_events import unit
from tests.support.waiting import wait_until

PAGE = 4


class WatchedStore(MemoryEventStore):
    """Tells what was read of it, as (after, limit); `fault` may raise, or change what a read gives."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self.reads: list[tuple[int, int]] = []
        self.fault: Callable[[list[Recorded]], list[Recorded]] = lambda found: found
        if events:
            self.append([unit(events=events)])

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        self.reads.append((after, limit))
        return self.fault(super().read_log(after=after, limit=limit))


@pytest.fixture
def shared() -> Iterator[Callable[..., SharedReads]]:
    made: list[SharedReads] = []

    def make(store: MemoryEventStore, pages: int = 100) -> SharedReads:
        made.append(SharedReads(store, page_events=PAGE, pages=pages))
        return made[-1]

    yield make
    for reads in made:
        reads.close()


def positions(batch: list[Recorded]) -> list[int]:
    return [event.position for event in batch]


def test_each_event_is_read_once_for_all(shared: Callable[..., SharedReads]) -> None:
    store = WatchedStore(11)
    reads = shared(store)
    assert all(positions(reads.read_log(after=0, limit=100)) == list(range(1, 12)) for _ in range(5))
    read = [position for after, limit in store.reads for position in range(after + 1, min(after + limit, 11) + 1)]
    assert sorted(read) == list(range(1, 12))


def test_what_comes_is_ready_when_it_is_asked_for(shared: Callable[..., SharedReads]) -> None:
    store = WatchedStore(3 * PAGE)
    reads = shared(store)
    reads.read_log(after=0, limit=PAGE)
    wait_until(lambda: (2 * PAGE, PAGE) in store.reads, what="the pages to be fetched ahead")
    wait_until(lambda: (3 * PAGE, PAGE) in store.reads, what="the end of the log to be looked at")
    before = len(store.reads)
    assert positions(reads.read_log(after=PAGE, limit=2 * PAGE)) == list(range(PAGE + 1, 3 * PAGE + 1))
    assert len([read for read in store.reads[before:] if read[0] < 3 * PAGE]) == 0


@given(
    turns=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 9)),
            st.tuples(st.just("forget"), st.just(0)),
            st.tuples(st.sampled_from(["one", "two", "late"]), st.integers(1, 13)),
        ),
        max_size=40,
    ),
    pages=st.integers(1, 3),
)
def test_readers_at_any_place_get_every_event_once_and_in_order(turns: list[tuple[str, int]], pages: int) -> None:
    store = WatchedStore(6)
    reads = SharedReads(store, page_events=PAGE, pages=pages)
    at = {"one": 0, "two": 0, "late": 6}
    try:
        for name, number in turns:
            if name == "append":
                store.append([unit(events=number)])
            elif name == "forget":
                reads.forget()
            else:
                found = reads.read_log(after=at[name], limit=number)
                assert found == MemoryEventStore.read_log(store, after=at[name], limit=len(found))
                assert found or at[name] == store.head()
                assert len(found) <= number
                at[name] += len(found)
    finally:
        reads.close()


def test_readers_at_once_wait_for_one_another_and_not_for_the_database(shared: Callable[..., SharedReads]) -> None:
    store = WatchedStore(PAGE - 1)
    reads = shared(store)
    together = Barrier(4)

    def read() -> list[int]:
        together.wait(10)
        return positions(reads.read_log(after=0, limit=PAGE - 1))

    with ThreadPoolExecutor(4) as threads:
        assert [future.result(10) for future in [threads.submit(read) for _ in range(4)]] == [[1, 2, 3]] * 4
    assert len(store.reads) == 1


def test_a_reader_does_not_wait_for_ever_for_another(
    shared: Callable[..., SharedReads], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.eventstore.shared_reads.STATEMENT_TIMEOUT_S", 0.05)
    store = WatchedStore(1)
    reads = shared(store)
    reading, go_on = Event(), Event()

    def hang(found: list[Recorded]) -> list[Recorded]:
        reading.set()
        assert go_on.wait(10)
        return found

    store.fault = hang
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(reads.read_log, after=0, limit=1)
        assert reading.wait(10)
        with pytest.raises(StoreUnavailable):
            reads.read_log(after=0, limit=1)
        go_on.set()
        assert positions(hanging.result(10)) == [1]


def test_an_event_that_cannot_be_read_is_met_at_its_own_position(shared: Callable[..., SharedReads]) -> None:
    def seventh_is_unknown(found: list[Recorded]) -> list[Recorded]:
        if 7 in positions(found):
            raise UnknownEvent("of a later release")
        return found

    store = WatchedStore(9)
    store.fault = seventh_is_unknown
    reads = shared(store)
    assert positions(reads.read_log(after=0, limit=100)) == [1, 2, 3, 4]
    subscription = Subscription(reads, after=0, hints=MemoryHints(), limit=100)
    seen: list[int] = []
    while len(seen) < 6:
        seen += positions(subscription.next_batch(0))
    assert seen == [1, 2, 3, 4, 5, 6]
    with pytest.raises(UnknownEvent):
        subscription.next_batch(0)
    store.fault = lambda found: found
    assert positions(subscription.next_batch(0)) == [7]


def test_who_is_past_an_unreadable_event_reads_on(shared: Callable[..., SharedReads]) -> None:
    def first_is_unknown(found: list[Recorded]) -> list[Recorded]:
        if 1 in positions(found):
            raise UnknownEvent("of a later release")
        return found

    store = WatchedStore(3)
    store.fault = first_is_unknown
    reads = shared(store)
    assert positions(reads.read_log(after=1, limit=9)) == [2, 3]
    with pytest.raises(UnknownEvent):
        reads.read_log(after=0, limit=9)


def test_a_hole_is_never_passed_and_never_kept(shared: Callable[..., SharedReads]) -> None:
    store = WatchedStore(9)
    store.fault = lambda found: [event for event in found if event.position != 6]
    reads = shared(store)
    subscription = Subscription(reads, after=0, hints=MemoryHints(), limit=PAGE)
    assert positions(subscription.next_batch(0)) == [1, 2, 3, 4]
    with pytest.raises(BrokenLog, match="position 6"):
        subscription.next_batch(0)
    store.fault = lambda found: found
    assert positions(reads.read_log(after=4, limit=9)) == [5, 6, 7, 8, 9]


def test_what_a_failover_has_lost_is_forgotten(shared: Callable[..., SharedReads]) -> None:
    lost, kept = WatchedStore(3), WatchedStore(2)
    reads = shared(lost)
    reads.read_log(after=0, limit=9)
    reads._log = kept
    reads.forget()
    assert reads.read_log(after=0, limit=9) == kept.read_log(after=0, limit=9)


def test_no_more_pages_are_kept_than_the_bound(shared: Callable[..., SharedReads]) -> None:
    store = WatchedStore(10 * PAGE)
    reads = shared(store, pages=2)
    reads.read_log(after=0, limit=10 * PAGE)
    wait_until(lambda: not reads._fetching, what="the pages that are fetched ahead")
    assert len(reads._pages) <= 2
