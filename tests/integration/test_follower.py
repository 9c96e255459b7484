"""Rows that follow the log: with their checkpoint, once each, whatever fails."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import psycopg
import pytest

from orders.eventstore.port import Recorded
from orders.follower import CHANNEL, Checkpoint, Cursor, read_checkpoint
from tests.support.copying_follower import NAME, Copy, copying, insert, lock_holder, query
from tests.support.waiting import wait_until


@pytest.fixture
def url(renewed_database_url: str) -> str:
    return renewed_database_url


@pytest.fixture
def copies(url: str) -> Iterator[Callable[..., Copy]]:
    with copying(url) as make:
        yield make


@contextmanager
def listening(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"listen {CHANNEL}")
        yield connection


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
