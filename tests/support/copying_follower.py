"""A follower that copies positions into a table, to be watched and broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import psycopg

from orders.eventstore.port import Recorded
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import MemoryHints
from orders.follower import Cursor, Follower
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


def lock_holder(url: str) -> int | None:
    rows = query(
        url,
        "select pid from pg_locks where locktype = 'advisory' and granted"
        " and database = (select oid from pg_database where datname = current_database())",
    )
    return rows[0][0] if rows else None


@contextmanager
def copying(url: str) -> Iterator[Callable[..., Copy]]:
    """Makes copies, which are stopped at the end, and the table for them."""
    query(url, "create table copied (place bigserial, position bigint)")
    made: list[Copy] = []

    def make(**options: Any) -> Copy:
        made.append(Copy(url, **options))
        return made[-1]

    yield make
    for copy in made:
        copy.stop()
