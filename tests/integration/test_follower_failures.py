"""A follower that cannot go on: it stops alone, says where and why, and goes on when mended."""

import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest

from orders.eventstore.port import Recorded
from orders.eventstore.subscription import MemoryHints
from orders.follower import Checkpoint, Cursor, Failure, Follower, read_checkpoint
from tests.support.copying_follower import NAME, Copy, copying, insert, lock_holder, query
from tests.support.waiting import wait_until


@pytest.fixture
def url(renewed_database_url: str) -> str:
    return renewed_database_url


@pytest.fixture
def copies(url: str) -> Iterator[Callable[..., Copy]]:
    with copying(url) as make:
        yield make


def test_a_rolled_back_batch_leaves_neither_rows_nor_checkpoint(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    written = Event()

    def write_and_fail(cursor: Cursor, events: list[Recorded]) -> None:
        insert(cursor, events)
        written.set()
        raise ZeroDivisionError

    copy.apply = write_and_fail
    copy.append(2)
    copy.start()
    wait_until(lambda: copy.follower.failure, what="the failure")
    assert written.is_set()
    assert copy.rows() == []
    with psycopg.connect(url) as connection:
        assert read_checkpoint(connection, NAME) == Checkpoint(0, 1)


def test_an_event_that_fails_stops_its_follower_there_until_it_no_longer_does(copies: Callable[..., Copy]) -> None:
    copy = copies()
    bad = {7}

    def fails_at_seven(cursor: Cursor, events: list[Recorded]) -> None:
        if bad & {event.position for event in events}:
            raise ValueError("no such column")
        insert(cursor, events)

    copy.apply = fails_at_seven
    copy.append(10)
    copy.start()
    failure = wait_until(lambda: copy.follower.failure, what="the failure")
    assert failure == Failure(7, "ValueError: no such column")
    copy.has(6)
    bad.clear()
    copy.has(10)
    wait_until(lambda: copy.follower.failure is None, what="the failure to be over")


def fails_from(position: int) -> Callable[[Cursor, list[Recorded]], None]:
    def apply(cursor: Cursor, events: list[Recorded]) -> None:
        if events[-1].position >= position:
            raise ValueError("no such column")
        insert(cursor, events)

    return apply


def told(url: str) -> list[tuple[int, str]]:
    return query(url, "select position, reason from follower_failure")


def test_a_failure_ends_with_a_rebuild_also_where_the_log_is_idle(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.apply = fails_from(3)
    copy.append(3)
    copy.start()
    wait_until(lambda: told(url) == [(3, "ValueError: no such column")], what="the failure to be told")
    query(url, "update follower_checkpoint set position = 3, generation = generation + 1")
    wait_until(lambda: not told(url), what="the failure to be over")
    assert copy.follower.failure is None


def test_one_that_cannot_start_says_so_where_it_stands_until_it_can(copies: Callable[..., Copy], url: str) -> None:
    foreign = Event()

    def check(cursor: Cursor, position: int) -> None:
        if foreign.is_set():
            raise LookupError("tables of\0another release")

    copy = copies(on_start=check)
    copy.append(2)
    copy.start()
    copy.has(2)
    foreign.set()
    query(url, f"select pg_terminate_backend({lock_holder(url)})")
    wait_until(lambda: told(url) == [(3, "LookupError: tables of\ufffdanother release")], what="the failure to be told")
    foreign.clear()
    wait_until(lambda: not told(url), what="the failure to be over")
    assert copy.follower.failure is None


def test_the_first_event_of_many_is_named_at_once_where_it_fails(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.apply = fails_from(1)
    copy.append(500)
    began_at = time.monotonic()
    copy.start()
    wait_until(lambda: told(url) == [(1, "ValueError: no such column")], what="the failure to be told")
    assert time.monotonic() - began_at < 3
    assert copy.batches[:9] == [500, 250, 125, 62, 31, 15, 7, 3, 1]


def test_what_failed_in_one_process_and_was_mended_in_another_is_not_told_again(
    copies: Callable[..., Copy], url: str
) -> None:
    old, new = copies(), copies()
    old.apply = fails_from(3)
    old.append(3)
    old.start()
    wait_until(lambda: told(url), what="the failure to be told")
    new.start()
    wait_until(lambda: new.follower.backend_pid, what="the other to stand by")

    def is_mended() -> bool:
        """The one that fails may get its lock again first."""
        if old.follower.checkpoint is not None:
            query(url, f"select pg_terminate_backend({old.follower.backend_pid or 0})")
        return new.rows() == [1, 2, 3]

    wait_until(is_mended, what="the other to take over")
    wait_until(lambda: not told(url), what="the failure to be over")
    new.stop()
    wait_until(lambda: old.follower.checkpoint, what="the first one to lead again")
    assert old.follower.failure is None
    assert not told(url)


def test_an_event_that_cannot_be_read_stops_its_follower_there(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.append(4)
    query(
        url, f"select append_events(array['{uuid4()}'::uuid], array[1], array['OrderPlaced.v9'], array['{{}}'::bytea])"
    )
    copy.start()
    failure = wait_until(lambda: copy.follower.failure, what="the failure")
    assert failure is not None
    assert failure.position == 5
    assert failure.reason.startswith("UnknownEvent")
    copy.has(4)


def test_a_failing_follower_does_not_stop_another_one(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()

    def fail(cursor: Cursor, events: list[Recorded]) -> None:
        cursor.execute("select * from no_such_table")

    copy.apply = fail
    copy.append(2)
    copy.start()
    other_rows: list[int] = []
    stop = Event()
    other = Follower(
        "other",
        copy.store,
        url,
        lambda _, events: None,
        MemoryHints(),
        on_commit=lambda events: other_rows.extend(event.position for event in events),
    )
    thread = Thread(target=other.run, args=(stop,), daemon=True)
    thread.start()
    wait_until(lambda: copy.follower.failure, what="the failure")
    wait_until(lambda: other_rows == [1, 2], what="the other follower")
    stop.set()
    thread.join(10)
