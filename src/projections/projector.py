"""The projector process: a follower in a thread of its own for each projection, under the projection's lock.

A projection that fails stops alone and says where; the others go on. Of several projectors one keeps a projection, and
another takes over when its connection ends. The log's hash chain is kept beside them in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

import psycopg
from psycopg import Cursor

from orders.bounds import CATCH_UP_BATCH_EVENTS, FIRST_BACKOFF_S, MAX_BACKOFF_S
from orders.eventstore.connections import connect
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.shared_reads import SharedReads
from orders.eventstore.subscription import Hints, PostgresHints
from orders.follower import Apply, Follower
from orders.hash_chain import HashChain
from projections.bounds import STATUS_LOG_S, STOP_TIMEOUT_S
from projections.projection import Projection
from projections.rebuild_requests import RebuildsAskedFor
from projections.registry import PROJECTIONS
from projections.tables import apply_to, check_tables, make_tables

log = logging.getLogger(__name__)

Around = Callable[[str, Apply], Apply]


def run_projector(
    store: EventStore,
    database_url: str,
    stop: Event,
    ready: Callable[[], None],
    *,
    hints: Hints | None = None,
    projections: Sequence[Projection] = PROJECTIONS,
    around: Around = lambda name, apply: apply,
) -> None:
    """Keeps the projections until `stop` is set. Calls `ready` once, when the tables are there and all are followed.

    `database_url` leads to the database without a pooler: locks and LISTEN need a session. Without `hints` it listens
    itself. `around(name, apply)` gives what is called instead of `apply` for each batch of a projection.
    """
    if not _make_all_tables(database_url, projections, stop):
        return
    heard = hints or PostgresHints(database_url, application_name="projector hints")
    reads = SharedReads(store)
    followers = [_follower(projection, reads, database_url, heard, around) for projection in projections]
    threads = [Thread(target=one.run, args=(stop,), name=f"projection {one.name}", daemon=True) for one in followers]
    chain = HashChain(store, database_url)
    threads.append(Thread(target=chain.run, args=(stop,), name="hash chain", daemon=True))
    rebuilds = RebuildsAskedFor(store, database_url, projections)
    threads.append(Thread(target=rebuilds.run, args=(stop,), name="rebuilds", daemon=True))
    for thread in threads:
        thread.start()
    ready()
    try:
        while not stop.wait(STATUS_LOG_S):
            _log_failures([*followers, chain.follower])
            chain.tell_when_due()
    finally:
        stop.set()
        if heard is not hints:
            heard.close()
        reads.close()
        for thread in threads:
            thread.join(STOP_TIMEOUT_S)


def _follower(projection: Projection, reads: SharedReads, database_url: str, hints: Hints, around: Around) -> Follower:
    def check(cursor: Cursor[Any], position: int) -> None:
        reads.forget()  # after a failover this is a new connection, to a log that may have lost its end
        check_tables(cursor, projection)

    def apply(cursor: Cursor[Any], batch: list[Recorded]) -> None:
        apply_to(cursor, projection, projection.schema, batch)

    return Follower(
        projection.name,
        reads,
        database_url,
        around(projection.name, apply),
        hints,
        on_start=check,
        batch_events=CATCH_UP_BATCH_EVENTS,
    )


def _make_all_tables(database_url: str, projections: Sequence[Projection], stop: Event) -> bool:
    """Whether all tables are there; it tries until then, or until `stop` is set."""
    backoff_s = FIRST_BACKOFF_S
    while not stop.is_set():
        try:
            with connect(database_url, application_name="projector tables") as connection:
                for projection in projections:
                    make_tables(connection, projection)
            return True
        except psycopg.Error as error:
            log.warning("projection tables wait: %s", str(error).strip())
            stop.wait(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)
    return False


def _log_failures(followers: Sequence[Follower]) -> None:
    for follower in followers:
        if follower.failure is not None:
            log.error(
                "follower %s stands at position %d: %s",
                follower.name,
                follower.failure.position,
                follower.failure.reason,
            )
