"""The one connection that appends, and how an append whose answer was lost is settled.

An append is one statement in autocommit. If its answer is lost it may be committed, or may still be under way. So it is
given again, with the same event ids, on a new connection: the append lock makes it wait until the old transaction has
ended, the log's own uniqueness refuses what is there already, and the stored bytes tell whether that is ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event, Lock
from typing import Any
from uuid import UUID

import psycopg
from psycopg.errors import Diagnostic

from orders.bounds import ANSWER_GRACE_S, CONNECT_TIMEOUT_S, RECONNECT_S, RETRY_PAUSE_S, STATEMENT_TIMEOUT_S
from orders.eventstore.connections import BoundedConnection, connect, is_dead, surely_undone, unavailable
from orders.eventstore.port import Appended, CommitUnknown, Conflict, EncodedUnit, StoreClosed, StoreUnavailable
from orders.eventstore.sql import load

_SQL = load("orders.eventstore", "postgres.sql")

WARNING = "01000"
"""A commit with this warning has given up the wait for the standbys (SyncRepWaitForLSN in PostgreSQL's syncrep.c)."""


class _Unanswered(Exception):
    """The statement was sent, and nobody knows whether it is committed."""


class AppendSession:
    """Thread-safe: one append at a time, the others wait for their turn."""

    def __init__(self, url: str, application_name: str) -> None:
        self._url = url
        self._application_name = application_name
        self._connection: BoundedConnection | None = None
        self._warnings: list[str] = []
        self._closed = Event()
        self._turn = Lock()

    def append(self, units: Sequence[EncodedUnit], deadline: float) -> list[Appended | Conflict]:
        """`deadline` is on the monotonic clock. Raises: StoreUnavailable, CommitUnknown, StoreClosed."""
        if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreUnavailable("append: another one of this process took all the time allowed")
        try:
            return self._append_or_settle(units, deadline)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Waits for an append under way; it may still settle, but begins no further attempt."""
        self._closed.set()
        with self._turn:
            self._drop()

    def _append_or_settle(self, units: Sequence[EncodedUnit], deadline: float) -> list[Appended | Conflict]:
        events = _arrays(units)
        doubt: _Unanswered | None = None
        while True:
            try:
                connection = self._connected(deadline)
                head, dropped = self._ask(connection, deadline, _SQL["append"], events)[0]
                stored = self._stored(connection, deadline, units, set(dropped)) if doubt and dropped else {}
                return _results(units, head, set(dropped), stored)
            except _Unanswered as lost:
                doubt = lost
            except (StoreUnavailable, StoreClosed):
                if doubt is None:
                    raise
            if self._closed.wait(RETRY_PAUSE_S) or time.monotonic() >= deadline:
                raise CommitUnknown(f"append: not settled: {doubt}")

    def _connected(self, deadline: float) -> BoundedConnection:
        """A connection that was alive just now: what fails until here was surely not sent."""
        if self._connection is not None and not is_dead(self._connection):
            return self._connection
        self._drop()
        give_up_at = min(deadline, time.monotonic() + RECONNECT_S)
        while True:
            if self._closed.is_set():
                raise StoreClosed("append: the store is closed")
            try:
                left_s = min(CONNECT_TIMEOUT_S, give_up_at - time.monotonic())
                connection = connect(self._url, application_name=self._application_name, within_s=left_s)
            except psycopg.Error as error:
                if time.monotonic() + RETRY_PAUSE_S >= give_up_at:
                    raise unavailable(error, "append: no connection") from error
                self._closed.wait(RETRY_PAUSE_S)
                continue
            connection.add_notice_handler(self._note)
            self._connection = connection
            return connection

    def _ask(self, connection: BoundedConnection, deadline: float, statement: str, params: Any) -> list[Any]:
        self._warnings.clear()
        left_s = max(deadline - time.monotonic(), RETRY_PAUSE_S)
        connection.answer_within_s = min(left_s, STATEMENT_TIMEOUT_S + ANSWER_GRACE_S)
        try:
            rows = connection.execute(statement, params, prepare=True, binary=True).fetchall()
        except psycopg.Error as error:
            self._drop()
            if surely_undone(error):
                raise unavailable(error, "append") from error
            raise _Unanswered(str(error).strip() or type(error).__name__) from error
        if self._warnings:
            raise _Unanswered(self._warnings[0])
        return rows

    def _stored(
        self, connection: BoundedConnection, deadline: float, units: Sequence[EncodedUnit], dropped: set[UUID]
    ) -> dict[UUID, tuple[int, bytes]]:
        """Position and bytes of what stands in the log where the dropped units begin."""
        asked = [unit for unit in units if unit.stream_id in dropped]
        streams = [unit.stream_id for unit in asked]
        versions = [unit.expected_version + 1 for unit in asked]
        rows = self._ask(connection, deadline, _SQL["stored_and_durable"], (streams, versions))
        return {stream: (position, state) for stream, _, position, state in rows}

    def _note(self, diag: Diagnostic) -> None:
        if diag.sqlstate == WARNING:
            self._warnings.append(diag.message_primary or "a warning at commit")

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _arrays(units: Sequence[EncodedUnit]) -> tuple[list[UUID], list[int], list[str], list[bytes]]:
    streams: list[UUID] = []
    versions: list[int] = []
    topics: list[str] = []
    states: list[bytes] = []
    for unit in units:
        count = len(unit.states)
        streams += [unit.stream_id] * count
        versions += range(unit.expected_version + 1, unit.expected_version + 1 + count)
        topics += unit.topics
        states += unit.states
    return streams, versions, topics, states


def _results(
    units: Sequence[EncodedUnit], head: int, dropped: set[UUID], stored: dict[UUID, tuple[int, bytes]]
) -> list[Appended | Conflict]:
    """Units follow one another from the head on, but for the dropped ones; those may stand in the log already."""
    results: list[Appended | Conflict] = []
    position = head + 1
    for unit in units:
        count = len(unit.states)
        if unit.stream_id not in dropped:
            results.append(Appended(position, position + count - 1))
            position += count
        elif (found := stored.get(unit.stream_id)) and found[1] == unit.states[0]:
            results.append(Appended(found[0], found[0] + count - 1))
        else:
            results.append(Conflict(unit.stream_id))
    return results
