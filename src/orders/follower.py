"""Rows that follow the log: a batch's rows and the checkpoint change in one transaction.

A follower has a name. One process at a time runs it, under a session lock of that name that dies with its connection;
others stand by. The lock only saves work: the checkpoint moves by compare-and-set on (position, generation) in the
transaction of the rows, so one that lost its lock without noticing writes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

import msgspec
import psycopg

from orders.bounds import (
    FIRST_BACKOFF_S,
    FOLLOWER_BATCH_EVENTS,
    FOLLOWER_BEAT_S,
    FOLLOWER_LOCK_POLL_S,
    FOLLOWER_SLOW_S,
    MAX_BACKOFF_S,
    MAX_TEXT,
    POLL_INTERVAL_S,
    READ_BATCH_EVENTS,
    STATEMENT_TIMEOUT_S,
)
from orders.eventstore.connections import BoundedConnection, connect, is_dead
from orders.eventstore.port import BrokenLog, EventStoreError, Recorded, UnknownEvent
from orders.eventstore.shared_reads import Log
from orders.eventstore.sql import load
from orders.eventstore.subscription import Hints, Subscription
from orders.takeover import SQL as TAKEOVER_SQL
from orders.takeover import Takeover

log = logging.getLogger(__name__)

_SQL = load("orders", "follower.sql")

CHANNEL = "orders_followers"
"""Where each batch is announced, as `name:position`."""

Cursor = psycopg.Cursor[Any]
Apply = Callable[[Cursor, list[Recorded]], None]


class LostCheckpoint(Exception):
    """The checkpoint is not where this follower left it: another one runs, or a rebuild was swapped in."""


class Checkpoint(msgspec.Struct, frozen=True):
    position: int
    generation: int


class Failure(msgspec.Struct, frozen=True):
    """The event at `position` cannot be read or applied; it is tried again meanwhile."""

    position: int
    reason: str


TIMEOUTS = {"57014", "25P03", "25P04"}
"""PostgreSQL's codes: a statement, a wait inside a transaction, or a transaction took too long."""


def read_checkpoint(cursor: Cursor | psycopg.Connection[Any], name: str) -> Checkpoint | None:
    """None where a follower of that name never ran."""
    row = cursor.execute(_SQL["read_checkpoint"], (name,)).fetchone()
    return None if row is None else Checkpoint(row[0], row[1])


class Follower:
    """Applies the log to rows of its own, in order, without gap or repeat.

    - `apply(cursor, events)` writes the rows of a batch in the transaction that moves the checkpoint, which it does not
      end. It is called again with the same events, or fewer, where the transaction failed.
    - `on_start(cursor, position)` is called each time the lock was got, before the first batch: who mirrors the rows
      in memory loads them here. What it keeps from before is out of date. Whose rows say by themselves how far they
      reach may move the checkpoint.
    - `on_commit(events)` is called after each commit, in order; if it raises, the follower starts again.
    - `durable`: whether the rows' commits wait for the disk. What can be derived from the log again need not.
    - `announced`: whether each commit is announced on CHANNEL. Commits that announce something wait for one another,
      the appends' among them, so one that waits for the disk had better not.

    An event that cannot be applied stops this follower at its position; it goes on by itself once it can be. The same
    holds where it cannot start: it stands before the first event then. Where it stands and why is told in the table
    follower_failure, for whoever looks from another process, until an event is applied or there are none left.
    """

    def __init__(
        self,
        name: str,
        store: Log,
        direct_url: str,
        apply: Apply,
        hints: Hints,
        *,
        on_start: Callable[[Cursor, int], None] | None = None,
        on_commit: Callable[[list[Recorded]], None] | None = None,
        batch_events: int = FOLLOWER_BATCH_EVENTS,
        durable: bool = False,
        announced: bool = True,
    ) -> None:
        self.name = name
        self.failure: Failure | None = None
        self.checkpoint: Checkpoint | None = None
        """Where it is; None while it stands by, or has no database."""
        self.backend_pid: int | None = None
        """The server's number of its connection, which may hold the lock; None while it has none."""
        self._store = store
        self._url = direct_url
        self._apply = apply
        self._hints = hints
        self._on_start = on_start
        self._on_commit = on_commit
        self._most_events = batch_events
        self._batch_events = min(batch_events, FOLLOWER_BATCH_EVENTS)  # it grows where there is room
        self._durable = durable
        self._announced = announced
        self._backoff_s = FIRST_BACKOFF_S
        self._heard_at = 0.0
        self._told: Failure | None = None  # what stands in follower_failure, as far as is known
        self._lost = False  # whether it lost its checkpoint since the last commit

    def run(self, stop: Event) -> None:
        """Follows until `stop` is set; it ends within a batch's time then. For a thread of its own."""
        while not stop.is_set():
            try:
                with connect(self._url, application_name=f"follower {self.name}", durable=self._durable) as connection:
                    self.backend_pid = connection.info.backend_pid
                    self._lead(connection, stop)
            except (BrokenLog, UnknownEvent) as error:
                log.error("follower %s cannot read on: %s", self.name, error)
            except (psycopg.Error, EventStoreError) as error:
                log.warning("follower %s waits: %s", self.name, str(error).strip())
            except Exception:
                log.exception("follower %s starts again", self.name)
            self.checkpoint = self.backend_pid = None
            self._pause(stop)

    def _lead(self, connection: BoundedConnection, stop: Event) -> None:
        takeover = Takeover(f"follower {self.name}")
        while not self._locked(connection):
            self.failure = self._told = None  # it is the other one's now to fail, and to tell
            takeover.look(connection)
            if stop.wait(FOLLOWER_LOCK_POLL_S):
                return
        connection.execute(_SQL["bound_transactions"], (str(round(STATEMENT_TIMEOUT_S * 1000)),))
        while not stop.is_set():
            try:
                self._follow(connection, stop)
            except LostCheckpoint as lost:
                log.warning("follower %s starts again: %s", self.name, lost)
                self._start_again(connection, stop)
            except Exception as error:
                self._fail(connection, error)
                raise

    def _start_again(self, connection: BoundedConnection, stop: Event) -> None:
        """Under the lock that it holds; at once, since readers wait for it, unless it just did so in vain."""
        self.checkpoint = None
        if self._lost:
            self._pause(stop, connection)
        else:
            self._lost, self._backoff_s = True, FIRST_BACKOFF_S

    def _follow(self, connection: BoundedConnection, stop: Event) -> None:
        self.checkpoint = self._load(connection)
        self._look_up_failure(connection, self.checkpoint.position)
        most = max(self._most_events, READ_BATCH_EVENTS)
        subscription = Subscription(self._store, after=self.checkpoint.position, hints=self._hints, limit=most)
        while not stop.is_set():
            batch = subscription.next_batch(POLL_INTERVAL_S)
            if not batch:
                self._end_failure(connection)  # at the end of the log there is nothing at which to fail
                self._be_heard(connection)
            while batch and not stop.is_set():
                batch = batch[self._advance(connection, batch, stop) :]

    def _locked(self, connection: BoundedConnection) -> bool:
        return bool(connection.execute(_SQL["try_lock"], (self.name,)).fetchall()[0][0])

    def _load(self, connection: BoundedConnection) -> Checkpoint:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(_SQL["add_checkpoint"], (self.name,))
            checkpoint = read_checkpoint(cursor, self.name)
            assert checkpoint is not None
            if self._on_start is not None:
                self._on_start(cursor, checkpoint.position)
                checkpoint = read_checkpoint(cursor, self.name)
                assert checkpoint is not None
        return checkpoint

    def _advance(self, connection: BoundedConnection, batch: list[Recorded], stop: Event) -> int:
        """Commits the first of the batch, as many as may go into one transaction; returns how many."""
        part = batch[: self._batch_events]
        began_at = time.monotonic()
        error = self._attempt(connection, part)
        if error is not None:
            self._judge(error, connection, part)
            if len(part) == 1:
                self._pause(stop, connection)
            return 0
        self._adapt(len(part), time.monotonic() - began_at)
        self._backoff_s, self._lost = FIRST_BACKOFF_S, False
        self._end_failure(connection)
        if self._on_commit is not None:
            self._on_commit(part)
        return len(part)

    def _attempt(self, connection: BoundedConnection, part: list[Recorded]) -> Exception | None:
        """Rows and checkpoint of `part` in one transaction; what went wrong, if it was rolled back."""
        assert self.checkpoint is not None
        moved = Checkpoint(part[-1].position, self.checkpoint.generation)
        move = {
            "name": self.name,
            "from": self.checkpoint.position,
            "to": moved.position,
            "generation": self.checkpoint.generation,
            "announced": self._announced,
        }
        try:
            with connection.transaction(), connection.cursor() as cursor:
                self._apply(cursor, part)
                if cursor.execute(_SQL["move_checkpoint"], move).fetchone() is None:
                    raise LostCheckpoint(f"it is no longer at {self.checkpoint}")
        except LostCheckpoint:
            raise
        except Exception as error:  # noqa: BLE001 - whatever `apply` raises, this follower alone stops for it
            return error
        self.checkpoint = moved
        return None

    def _judge(self, error: Exception, connection: BoundedConnection, part: list[Recorded]) -> None:
        """Tries less at once; names the event where one alone fails. Raises where the connection is gone, and where it
        failed because other rows have taken the place of these."""
        timed_out = isinstance(error, psycopg.Error) and error.sqlstate in TIMEOUTS
        gone = connection.closed or is_dead(connection)
        if not gone and read_checkpoint(connection, self.name) != self.checkpoint:
            raise LostCheckpoint(f"it is no longer at {self.checkpoint}") from error
        if len(part) > 1:
            self._batch_events = len(part) // 2
            if timed_out:
                self._backoff_s = FIRST_BACKOFF_S  # it took its time already
        elif timed_out or not gone:
            log.error("follower %s stops at position %d", self.name, part[0].position, exc_info=error)
            self.failure = _failure(part[0].position, error)
            if not gone:
                self._tell_failure(connection)
        if gone:
            raise psycopg.OperationalError(f"the connection is lost: {error}") from error

    def _adapt(self, events: int, took_s: float) -> None:
        """Halves what takes too long, well before the server ends it; grows again where there is room."""
        if took_s > FOLLOWER_SLOW_S:
            self._batch_events = max(1, events // 2)
        elif took_s < FOLLOWER_SLOW_S / 4:
            self._batch_events = min(self._most_events, max(self._batch_events, events * 2))

    def _fail(self, connection: BoundedConnection, error: Exception) -> None:
        """Tells what holds it up before its first or next event. A database that is away is not told of."""
        log_is_bad = isinstance(error, BrokenLog | UnknownEvent)
        if is_dead(connection) or (isinstance(error, EventStoreError) and not log_is_bad):
            return
        with suppress(psycopg.Error):  # the error itself says more
            checkpoint = self.checkpoint or read_checkpoint(connection, self.name)
            self.failure = _failure(checkpoint.position + 1 if checkpoint else 1, error)
            self._tell_failure(connection)

    def _look_up_failure(self, connection: BoundedConnection, position: int) -> None:
        """At a start. What was told, by whichever process, stands until the follower is past it; the table knows what
        has become of it since. What could not be told, since the connection was lost with it, is told now."""
        row = connection.execute(_SQL["told_failure"], (self.name,)).fetchone()
        told = None if row is None else Failure(*row)
        if self.failure == self._told:
            self.failure = told
        self._told = told
        if self.failure is not None and self.failure.position <= position:
            self._end_failure(connection)
        elif self.failure != told:
            self._tell_failure(connection)

    def _tell_failure(self, connection: BoundedConnection) -> None:
        assert self.failure is not None
        told = {"name": self.name, "position": self.failure.position, "reason": self.failure.reason}
        connection.execute(_SQL["tell_failure"], told)
        self._told = self.failure

    def _end_failure(self, connection: BoundedConnection) -> None:
        self.failure = None
        if self._told is not None:
            connection.execute(_SQL["end_failure"], (self.name,))
            self._told = None

    def _be_heard(self, connection: BoundedConnection) -> None:
        """Shows whoever stands by that this process lives."""
        if is_dead(connection):
            raise psycopg.OperationalError("the connection, and with it the lock, is lost")
        if time.monotonic() - self._heard_at >= FOLLOWER_BEAT_S:
            connection.execute(TAKEOVER_SQL["beat"])
            self._heard_at = time.monotonic()

    def _pause(self, stop: Event, connection: BoundedConnection | None = None) -> None:
        until = time.monotonic() + self._backoff_s
        while (left_s := until - time.monotonic()) > 0 and not stop.wait(min(left_s, FOLLOWER_BEAT_S)):
            if connection is not None:
                self._be_heard(connection)
        self._backoff_s = min(self._backoff_s * 2, MAX_BACKOFF_S)


def _failure(position: int, error: Exception) -> Failure:
    """As the table can hold it: PostgreSQL's texts have no zero bytes."""
    return Failure(position, f"{type(error).__name__}: {error}".replace("\0", "\ufffd")[:MAX_TEXT])
