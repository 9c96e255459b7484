"""Rebuilds that operators ask for over HTTP: a row each, which a projector carries out and keeps up to date.

One projector does so, one rebuild at a time. Where it dies, freezes or loses its database, another one or the next
start goes on with what is asked for or running.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import msgspec
import psycopg

from orders.bounds import FIRST_BACKOFF_S, FOLLOWER_BEAT_S, MAX_BACKOFF_S, MAX_TEXT
from orders.eventstore.connections import KEEPALIVE, BoundedConnection, TidyAsyncConnection, connect
from orders.eventstore.port import EventStore, EventStoreError, StoreUnavailable
from orders.eventstore.sql import load
from orders.takeover import SQL as TAKEOVER_SQL
from orders.takeover import Takeover
from projections.bounds import ASK_TIMEOUT_S, REBUILD_ASKED_S
from projections.errors import (
    ProjectionError,
    ReadsUnavailable,
    RebuildError,
    RebuildRunning,
    RebuildStopped,
    UnknownProjection,
)
from projections.projection import Projection
from projections.queries import AskedRebuild
from projections.rebuild import Progress, Rebuilt, rebuilding

log = logging.getLogger(__name__)

_SQL = load("projections", "rebuild_requests.sql")
_LOCK = "rebuilds asked for"
_BY = "orders projector"
_AWAY = ("08", "57P", "25P")
"""PostgreSQL's codes: the connection failed, the server went down or comes up, a session was ended for its idleness."""


async def ask_for_rebuild(direct_url: str, projections: Sequence[Projection], name: str, by: str) -> AskedRebuild:
    """What is asked for now, or was already. Raises UnknownProjection, ReadsUnavailable."""
    if name not in {projection.name for projection in projections}:
        raise UnknownProjection(name)
    try:
        async with await TidyAsyncConnection.connect(
            direct_url,
            autocommit=True,
            application_name="orders rebuild asked",
            connect_timeout=round(ASK_TIMEOUT_S),
            options=f"-c statement_timeout={round(ASK_TIMEOUT_S * 1000)}",
            **KEEPALIVE,
        ) as connection:
            await connection.execute(_SQL["ask"], {"name": name, "by": by})
            (row,) = await (await connection.execute(_SQL["shown"], {"name": name})).fetchall()
    except psycopg.OperationalError as error:
        raise ReadsUnavailable from error
    return AskedRebuild(*row)


class RebuildsAskedFor:
    """Carries them out until `stop` is set. For a thread of its own."""

    def __init__(self, store: EventStore, direct_url: str, projections: Sequence[Projection]) -> None:
        self._store = store
        self._url = direct_url
        self._projections = {projection.name: projection for projection in projections}
        self._told_at = 0.0
        self._waiting: set[str] = set()  # for another process's rebuild
        self._under_way: Projection | None = None
        self._failed: tuple[Projection, Exception] | None = None  # still to be told

    def run(self, stop: Event) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not stop.is_set():
            try:
                with connect(self._url, application_name="projector rebuilds") as connection:
                    self._watch(connection, stop)
            except (psycopg.OperationalError, StoreUnavailable) as error:
                log.warning("rebuilds wait: %s", str(error).strip())
            except Exception as error:
                log.exception("rebuilds start again")
                self._failed = (self._under_way, error) if self._under_way else None
            stop.wait(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    def _watch(self, connection: BoundedConnection, stop: Event) -> None:
        self._under_way = None
        takeover = Takeover(_LOCK)
        while not connection.execute(_SQL["try_lock"], [_LOCK]).fetchall()[0][0]:
            takeover.look(connection)
            if stop.wait(REBUILD_ASKED_S):
                return
        if self._failed is not None:
            self._fail(connection, *self._failed)
            self._failed = None
        while not stop.wait(REBUILD_ASKED_S):
            for (name,) in connection.execute(_SQL["next"], {"names": list(self._projections)}).fetchall():
                if not stop.is_set():
                    self._carry_out(connection, self._projections[name], stop)

    def _carry_out(self, connection: BoundedConnection, projection: Projection, stop: Event) -> None:
        """Raises where the database is away: it stays running, and is gone on with; and what nobody foresaw."""

        def told(progress: Progress) -> None:
            if time.monotonic() - self._told_at >= REBUILD_ASKED_S:
                self._told_at = time.monotonic()
                connection.execute(_SQL["tell"], {**msgspec.structs.asdict(progress), "name": projection.name})

        self._under_way = projection
        try:
            with rebuilding(projection, self._store, self._url, stop=stop, told=told, by=_BY) as rebuild:
                self._waiting.discard(projection.name)
                connection.execute(_SQL["start"], {"name": projection.name})
                log.info("projection %s is rebuilt, as an operator asked", projection.name)
                with _heard_of(connection):
                    done = rebuild.replay()
        except RebuildRunning as error:
            self._wait_for(connection, projection, error)
        except RebuildStopped:
            log.info("the rebuild of projection %s goes on at the next start", projection.name)
        except (RebuildError, ProjectionError, EventStoreError, psycopg.Error) as error:
            if _is_away(error):
                raise
            log.error("projection %s could not be rebuilt: %s", projection.name, error)
            self._fail(connection, projection, error)
        else:
            self._finish(connection, projection, "done", outcome_of(done), done)
        self._under_way = None

    def _fail(self, connection: psycopg.Connection[Any], projection: Projection, error: Exception) -> None:
        self._finish(connection, projection, "failed", f"{type(error).__name__}: {error}")

    def _wait_for(self, connection: BoundedConnection, projection: Projection, running: RebuildRunning) -> None:
        """Until the other one ends; the next look tries again. A projector's that was taken over from is ended."""
        if projection.name not in self._waiting:
            log.info("a rebuild waits: %s", running)
        self._waiting.add(projection.name)
        connection.execute(_SQL["end_orphan"], {"name": projection.name, "pid": running.pid, "by": f"{_BY} ("})

    def _finish(
        self,
        connection: psycopg.Connection[Any],
        projection: Projection,
        state: str,
        outcome: str,
        done: Rebuilt | None = None,
    ) -> None:
        told = {
            "name": projection.name,
            "state": state,
            "outcome": outcome[:MAX_TEXT],
            "position": done and done.position,
            "events_per_s": done and round(done.events / max(done.took_s, 0.001), 1),
        }
        connection.execute(_SQL["finish"], told)


@contextmanager
def _heard_of(connection: BoundedConnection) -> Iterator[None]:
    """Whoever stands by sees meanwhile that this process lives, also while one statement takes minutes."""
    over = Event()

    def beat() -> None:
        with suppress(psycopg.Error):  # the rebuild finds that out for itself
            while not over.wait(FOLLOWER_BEAT_S):
                connection.execute(TAKEOVER_SQL["beat"])

    thread = Thread(target=beat, name="rebuild beats", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_away(error: Exception) -> bool:
    """Whether it is the database that is away for now, rather than something that will be the same next time."""
    cause = error.__cause__ if isinstance(error, StoreUnavailable) and error.__cause__ else error
    if isinstance(cause, StoreUnavailable):
        return True
    return isinstance(cause, psycopg.OperationalError) and (cause.sqlstate or "08").startswith(_AWAY)


def outcome_of(done: Rebuilt) -> str:
    """A line for operators."""
    text = f"live at position {done.position}, generation {done.generation}"
    comparison = done.comparison
    if comparison is None or comparison.equal is None:
        return f"{text}; not compared{f': {comparison.reason}' if comparison else ''}"
    if comparison.equal:
        return f"{text}; equal to the tables before"
    differing = ", ".join(
        f"{one.table} (live {one.live_rows} rows, rebuilt {one.rebuilt_rows})" for one in comparison.differences
    )
    return f"{text}; the tables before were not what the log says: {differing}"
