"""Rows that follow the log: with their checkpoint, once each, whatever fails."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from orders.eventstore.port import Recorded
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import MemoryHints
from orders.follower import CHANNEL, Checkpoint, Cursor, Failure, Follower, read_checkpoint
from tests.support.log_events import unit
from tests.support.waiting import wait_until

NAME = "copied"


class Copy:
    """A follower that copies positions into a table, in a thread; `apply` may be replaced."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.store = PostgresEventStore(url)
        self.batches: list[int] = []
        self.apply: Callable[[Cursor, list[Recorded]], None] = insert
        self._stop = Event()
        self.follower = Follower(NAME, self.store, url, self._apply, MemoryHints(), **options)
        self._thread = Thread(target=self.follower.run, args=(self._stop,), daemon=True)

    def _apply(self, cursor: Cursor, events: list[Recorded]) -> None:
        self.batches.append(len(events))
        self.apply(cursor, events)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident:
            self._thread.join(10)
            assert not self._thread.is_alive()
        self.store.close()

    def append(self, events: int) -> None:
        self.store.append([unit(events=events)])

    def rows(self) -> list[int]:
        return [position for (position,) in query(self.url, "select position from copied order by place")]

    def has(self, events: int) -> None:
        wait_until(lambda: self.rows() == list(range(1, events + 1)), what=f"{events} rows")


def insert(cursor: Cursor, events: list[Recorded]) -> None:
    cursor.executemany("insert into copied (position) values (%s)", [(event.position,) for event in events])


def query(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def url(renewed_database_url: str) -> str:
    query(renewed_database_url, "create table copied (place bigserial, position bigint)")
    return renewed_database_url


@pytest.fixture
def copies(url: str) -> Iterator[Callable[..., Copy]]:
    made: list[Copy] = []

    def make(**options: Any) -> Copy:
        made.append(Copy(url, **options))
        return made[-1]

    yield make
    for copy in made:
        copy.stop()


@contextmanager
def listening(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"listen {CHANNEL}")
        yield connection


def lock_holder(url: str) -> int | None:
    rows = query(
        url,
        "select pid from pg_locks where locktype = 'advisory' and granted"
        " and database = (select oid from pg_database where datname = current_database())",
    )
    return rows[0][0] if rows else None


def test_every_event_becomes_a_row_once_and_in_order(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.append(3)
    copy.start()
    copy.has(3)
    copy.append(1_200)
    copy.has(1_203)
    with psycopg.connect(url) as connection:
        assert read_checkpoint(connection, NAME) == Checkpoint(1_203, 1)
        assert read_checkpoint(connection.cursor(), "nobody") is None


def test_a_follower_goes_on_where_it_stopped(copies: Callable[..., Copy]) -> None:
    first = copies()
    first.append(3)
    first.start()
    first.has(3)
    first.stop()
    second = copies()
    second.append(2)
    second.start()
    second.has(5)
    assert sum(second.batches) == 2


def test_each_batch_is_announced_with_its_commit(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.start()
    with listening(url) as connection:
        copy.append(2)
        (heard,) = connection.notifies(timeout=10, stop_after=1)
        assert heard.payload == f"{NAME}:2"
        assert copy.rows() == [1, 2]


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


def test_one_runs_while_another_stands_by_and_takes_over(copies: Callable[..., Copy]) -> None:
    first, second = copies(), copies()
    first.start()
    wait_until(lambda: first.follower.checkpoint, what="the first to lead")
    second.start()
    first.append(5)
    first.has(5)
    assert second.follower.checkpoint is None
    first.stop()
    second.append(5)
    second.has(10)
    assert sum(second.batches) == 5


def test_a_follower_whose_session_ends_starts_again_without_gap_or_repeat(
    copies: Callable[..., Copy], url: str
) -> None:
    starts: list[int] = []
    copy = copies(on_start=lambda cursor, position: starts.append(position))
    copy.start()
    copy.append(3)
    copy.has(3)
    query(url, f"select pg_terminate_backend({lock_holder(url)}, 5000)")
    wait_until(lambda: starts == [0, 3], what="the second start, without any event")
    copy.append(3)
    copy.has(6)
    query(url, f"select pg_terminate_backend({lock_holder(url)})")
    copy.append(3)
    copy.has(9)


@pytest.mark.parametrize(
    "change", ["position = position + 1", "generation = generation + 1"], ids=["position", "generation"]
)
def test_a_checkpoint_that_someone_else_moved_ends_the_transaction(
    copies: Callable[..., Copy], url: str, change: str
) -> None:
    copy = copies()
    copy.append(2)
    copy.start()
    copy.has(2)
    moved = Event()

    def moved_meanwhile(cursor: Cursor, events: list[Recorded]) -> None:
        if not moved.is_set():
            query(url, f"update follower_checkpoint set {change} where name = '{NAME}'")
            moved.set()
        insert(cursor, events)

    copy.apply = moved_meanwhile
    copy.append(2)
    expected = [1, 2, 4] if "position" in change else [1, 2, 3, 4]
    wait_until(lambda: copy.rows() == expected, what=f"rows {expected}")
    assert copy.follower.failure is None
    assert copy.batches == ([2, 2, 1] if "position" in change else [2, 2, 2]), "the second was rolled back"


def test_what_a_follower_kept_in_memory_is_loaded_again_at_each_start(copies: Callable[..., Copy]) -> None:
    mirror: list[int] = []

    def load(cursor: Cursor, position: int) -> None:
        rows = cursor.execute("select position from copied order by place").fetchall()
        mirror[:] = [row[0] for row in rows]
        assert len(mirror) == position

    def commit(events: list[Recorded]) -> None:
        mirror.extend(event.position for event in events)
        if mirror[-1] == 3:
            raise RuntimeError("the mirror broke")

    copy = copies(on_start=load, on_commit=commit)
    copy.start()
    copy.append(2)
    copy.has(2)
    copy.append(1)
    copy.append(1)
    wait_until(lambda: mirror == [1, 2, 3, 4], what="the mirror")
    copy.has(4)


def test_a_batch_that_takes_too_long_is_tried_in_halves(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()

    def slow_above_three(cursor: Cursor, events: list[Recorded]) -> None:
        if len(events) > 3:
            cursor.execute("set local statement_timeout = '20ms'; select pg_sleep(5)")
        insert(cursor, events)

    copy.apply = slow_above_three
    copy.append(16)
    copy.start()
    copy.has(16)
    assert copy.batches[:4] == [16, 8, 4, 2]


def test_a_transaction_that_outlasts_its_time_is_ended_and_tried_with_less(
    copies: Callable[..., Copy], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.follower.STATEMENT_TIMEOUT_S", 0.1)
    copy = copies()

    def slow_above_three(cursor: Cursor, events: list[Recorded]) -> None:
        for _ in range(30 if len(events) > 3 else 0):
            cursor.execute("select pg_sleep(0.01)")
        insert(cursor, events)

    copy.apply = slow_above_three
    copy.append(8)
    copy.start()
    copy.has(8)
    assert copy.batches[:3] == [8, 4, 2]


def test_a_stopped_follower_gives_up_its_lock(copies: Callable[..., Copy], url: str) -> None:
    copy = copies()
    copy.start()
    wait_until(lambda: lock_holder(url), what="the lock")
    copy.stop()
    wait_until(lambda: lock_holder(url) is None, what="the lock to be free")
