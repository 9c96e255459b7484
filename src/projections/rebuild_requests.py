"""Rebuilds that operators ask for over HTTP: a row each, which a projector carries out and keeps up to date.

One projector does so, one rebuild at a time. Where it dies or loses its database, another one or the next start goes on
with what is asked for or running.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from threading import Event
from typing import Any

import msgspec
import psycopg
from psycopg import AsyncConnection

from orders.bounds import FIRST_BACKOFF_S, MAX_BACKOFF_S, MAX_TEXT
from orders.eventstore.connections import KEEPALIVE, BoundedConnection, connect
from orders.eventstore.port import EventStore, EventStoreError, StoreUnavailable
from orders.eventstore.sql import load
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


async def ask_for_rebuild(direct_url: str, projections: Sequence[Projection], name: str, by: str) -> AskedRebuild:
    """What is asked for now, or was already. Raises UnknownProjection, ReadsUnavailable."""
    if name not in {projection.name for projection in projections}:
        raise UnknownProjection(name)
    try:
        async with await AsyncConnection.connect(
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

    def run(self, stop: Event) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not stop.is_set():
            try:
                with connect(self._url, application_name="projector rebuilds") as connection:
                    self._watch(connection, stop)
            except (psycopg.OperationalError, StoreUnavailable) as error:
                log.warning("rebuilds wait: %s", str(error).strip())
            except Exception:
                log.exception("rebuilds start again")
            stop.wait(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    def _watch(self, connection: BoundedConnection, stop: Event) -> None:
        leads = False
        while not stop.wait(REBUILD_ASKED_S):
            leads = leads or bool(connection.execute(_SQL["try_lock"]).fetchall()[0][0])
            if not leads:
                continue
            found = connection.execute(_SQL["next"], {"names": list(self._projections)}).fetchone()
            if found is not None:
                self._carry_out(connection, self._projections[found[0]], stop)

    def _carry_out(self, connection: BoundedConnection, projection: Projection, stop: Event) -> None:
        """Raises where the database is away: it stays running, and is gone on with."""

        def told(progress: Progress) -> None:
            if time.monotonic() - self._told_at >= REBUILD_ASKED_S:
                self._told_at = time.monotonic()
                connection.execute(_SQL["tell"], {**msgspec.structs.asdict(progress), "name": projection.name})

        try:
            with rebuilding(projection, self._store, self._url, stop=stop, told=told, by="orders projector") as rebuild:
                connection.execute(_SQL["start"], {"name": projection.name})
                log.info("projection %s is rebuilt, as an operator asked", projection.name)
                done = rebuild.replay()
        except (RebuildRunning, RebuildStopped) as error:
            log.info("projection %s: %s", projection.name, error)  # later again
        except (psycopg.OperationalError, StoreUnavailable):
            raise
        except (RebuildError, ProjectionError, EventStoreError, psycopg.Error) as error:
            log.error("projection %s could not be rebuilt: %s", projection.name, error)
            self._finish(connection, projection, "failed", f"{type(error).__name__}: {error}")
        else:
            self._finish(connection, projection, "done", outcome_of(done))

    def _finish(self, connection: psycopg.Connection[Any], projection: Projection, state: str, outcome: str) -> None:
        told = {"name": projection.name, "state": state, "outcome": outcome[:MAX_TEXT]}
        connection.execute(_SQL["finish"], told)


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
