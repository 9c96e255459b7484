"""What port.py promises, of every event store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from orders.bounds import MAX_APPEND_BYTES
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Appended, Conflict, EventStore, StoreClosed, TooLarge, Unit
from orders.eventstore.postgres import PostgresEventStore
from tests.support.log_events import large_unit, placed, unit, whole_log


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[EventStore]:
    store: EventStore
    if request.param == "memory":
        store = MemoryEventStore()
    else:
        store = PostgresEventStore(request.getfixturevalue("renewed_database_url"))
    yield store
    store.close()


def test_an_empty_log_has_no_head_and_nothing_to_read(store: EventStore) -> None:
    assert store.head() == 0
    assert whole_log(store) == []
    assert store.read_stream(uuid4()) == []
    assert store.read_last(uuid4()) is None


def test_positions_and_versions_start_at_one_and_have_no_hole(store: EventStore) -> None:
    first, second = unit(events=2), unit()
    assert store.append([first, second]) == [Appended(1, 2), Appended(3, 3)]
    assert store.append([unit(first.stream_id, expected_version=2)]) == [Appended(4, 4)]
    assert [(event.position, event.version) for event in whole_log(store)] == [(1, 1), (2, 2), (3, 1), (4, 3)]
    assert store.head() == 4


def test_what_is_read_is_what_was_appended(store: EventStore) -> None:
    events = (placed(1, client_order_id='é\x00"\\'), placed(1_000_000_000))
    appended = Unit(uuid4(), 0, events)
    store.append([appended])
    stream = store.read_stream(appended.stream_id)
    assert tuple(recorded.event for recorded in stream) == events
    assert {recorded.stream_id for recorded in stream} == {appended.stream_id}
    assert stream == whole_log(store)


def test_appending_nothing_changes_nothing(store: EventStore) -> None:
    assert store.append([]) == []
    assert store.head() == 0


def test_a_unit_whose_version_exists_is_a_conflict_and_writes_nothing(store: EventStore) -> None:
    stream_id = uuid4()
    store.append([unit(stream_id)])
    assert store.append([unit(stream_id, events=3)]) == [Conflict(stream_id)]
    assert store.head() == 1


def test_the_same_unit_again_is_a_conflict(store: EventStore) -> None:
    again = unit()
    store.append([again])
    assert store.append([again]) == [Conflict(again.stream_id)]


def test_a_conflict_in_the_middle_of_a_call_leaves_the_other_units_and_no_hole(store: EventStore) -> None:
    taken = unit()
    store.append([taken])
    before, stale, after = unit(events=2), unit(taken.stream_id, events=2), unit(events=3)
    assert store.append([before, stale, after]) == [Appended(2, 3), Conflict(taken.stream_id), Appended(4, 6)]
    assert [event.position for event in whole_log(store)] == [1, 2, 3, 4, 5, 6]
    assert [event.version for event in store.read_stream(after.stream_id)] == [1, 2, 3]


def test_a_call_of_nothing_but_conflicts_writes_nothing(store: EventStore) -> None:
    taken = [unit(), unit()]
    store.append(taken)
    assert store.append(taken) == [Conflict(one.stream_id) for one in taken]
    assert store.append([unit()]) == [Appended(3, 3)]


def test_a_unit_that_would_leave_a_hole_in_its_stream_is_a_conflict(store: EventStore) -> None:
    known, unknown = unit(), uuid4()
    store.append([known])
    ahead, of_nothing = unit(known.stream_id, expected_version=2), unit(unknown, expected_version=1)
    kept = unit()
    assert store.append([ahead, of_nothing, kept]) == [
        Conflict(known.stream_id),
        Conflict(unknown),
        Appended(2, 2),
    ]
    assert store.read_stream(unknown) == []


def test_two_units_of_a_stream_in_one_call_are_refused(store: EventStore) -> None:
    one = unit()
    with pytest.raises(ValueError, match="at most one unit of a stream"):
        store.append([one, unit(one.stream_id, expected_version=1)])
    assert store.head() == 0


@pytest.mark.parametrize("wrong", [Unit(uuid4(), 0, ()), Unit(uuid4(), -1, (placed(),))], ids=["empty", "negative"])
def test_a_unit_without_events_or_with_a_negative_version_is_refused(store: EventStore, wrong: Unit) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        store.append([wrong])


def test_three_thousand_events_go_into_one_call(store: EventStore) -> None:
    units = [unit() for _ in range(2_000)] + [unit(events=1_000)]
    assert store.append(units)[-1] == Appended(2_001, 3_000)
    assert [event.position for event in whole_log(store)] == list(range(1, 3_001))


def test_an_event_of_a_megabyte_is_kept(store: EventStore) -> None:
    large = large_unit(1_000_000)
    store.append([large])
    assert store.read_stream(large.stream_id)[0].event == large.events[0]


def test_what_exceeds_a_commit_is_refused_as_too_large(store: EventStore) -> None:
    with pytest.raises(TooLarge):
        store.append([unit(), large_unit(MAX_APPEND_BYTES)])
    assert store.head() == 0


def test_a_stream_is_read_after_a_version_and_up_to_a_limit(store: EventStore) -> None:
    long = unit(events=5)
    store.append([unit(), long, unit()])
    assert [event.version for event in store.read_stream(long.stream_id, after_version=2)] == [3, 4, 5]
    assert [event.version for event in store.read_stream(long.stream_id, after_version=1, limit=2)] == [2, 3]
    assert store.read_stream(long.stream_id, after_version=5) == []


def test_the_log_is_read_after_a_position_and_up_to_a_limit(store: EventStore) -> None:
    store.append([unit(events=3), unit(events=3)])
    assert [event.position for event in store.read_log(after=0, limit=2)] == [1, 2]
    assert [event.position for event in store.read_log(after=2, limit=2)] == [3, 4]
    assert [event.position for event in store.read_log(after=4, limit=9)] == [5, 6]
    assert store.read_log(after=6, limit=9) == []


def test_the_last_event_is_read_now_and_as_of_a_position(store: EventStore) -> None:
    stream_id = uuid4()
    store.append([unit(stream_id, events=2)])
    store.append([unit()])
    store.append([unit(stream_id, expected_version=2)])
    last = [store.read_last(stream_id, as_of_position=position) for position in (None, 4, 3, 2, 1)]
    assert [event and event.version for event in last] == [3, 3, 2, 2, 1]
    assert store.read_last(stream_id, as_of_position=0) is None


def test_of_many_who_append_at_the_same_version_one_wins(store: EventStore) -> None:
    stream_id = uuid4()
    rivals = [unit(stream_id) for _ in range(16)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: store.append([one, unit()])[0], rivals))
    assert sum(isinstance(answer, Appended) for answer in answers) == 1
    assert [event.position for event in whole_log(store)] == list(range(1, 18))
    winner = rivals[next(n for n, answer in enumerate(answers) if isinstance(answer, Appended))]
    assert store.read_stream(stream_id)[0].event == winner.events[0]


def test_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreClosed):
        store.append([unit()])
    with pytest.raises(StoreClosed):
        store.head()
