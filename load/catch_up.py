"""`make bench-replay`: projections that catch up with a long log, against raw copy-out plus copy-in of its rows.

A log of whole order histories is written first. Then, in turns: raw binary COPY of all event rows out of the log and
into a plain table with the same two indexes, part by part; and the product's projector, from no tables to the head of
the log, for each projection alone and for all together. The ratio is taken within each round. Each round makes its
tables anew. The projector runs in this process; it and PostgreSQL (fsync on) share
the cores, nothing is pinned.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import sql

from load.log_histories import fill_log
from load.results import Contest, Pair, arguments_of, finish, number_from
from load.servers import ServerFailed, embedded_database, temporary_folder
from order_service.processes.parts import collect_rarely
from orders.eventstore.postgres import PostgresEventStore
from orders.hash_chain import FOLLOWER as CHAIN
from projections.projection import Projection
from projections.projector import run_projector
from projections.registry import PROJECTIONS

ALL = "all together"
COLUMNS = "notification_id, originator_id, originator_version, topic, state"
PART_ROWS = 50_000  # of the raw copy: some 25 MB in memory
POLL_S = 0.02
STALLED_S = 60.0  # a catch-up that does not move for so long has failed
STOP_S = 10.0


class Plan(Struct, frozen=True, kw_only=True):
    """`only` are the contests to run, by name; all, if it is empty."""

    events: int = 1_000_000
    rounds: int = 3
    only: tuple[str, ...] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("make bench-replay", __doc__)
    parser.add_argument("--events", type=number_from(int, 1_000, 20_000_000), default=Plan().events)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=Plan().rounds)
    given = parser.parse_args(arguments)
    plan = Plan(events=given.events, rounds=given.rounds)
    return finish(plan, lambda: measure(plan), given.folder, "replay")


def measure(plan: Plan) -> list[Contest]:
    """Raises ServerFailed."""
    collect_rarely()  # as the projector's process does
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        store = PostgresEventStore(url, application_name="load")
        running.callback(store.close)
        orders = fill_log(store, plan.events)
        control = running.enter_context(psycopg.connect(url, autocommit=True))
        control.execute("vacuum (analyze) public.order_events")  # what autovacuum would do in the middle of a round
        entrants: dict[str, Sequence[Projection]] = {one.name: [one] for one in PROJECTIONS}
        entrants[ALL] = PROJECTIONS
        entrants = {name: one for name, one in entrants.items() if name in (plan.only or entrants)}
        pairs: dict[str, list[Pair]] = {name: [] for name in entrants}
        events = store.head()
        _caught_up(control, url, store, PROJECTIONS, [CHAIN])  # from here on, only what is measured has to catch up
        for _ in range(plan.rounds):
            for name, projections in entrants.items():
                copied_s = _copied(control, url, events)
                took_s = _caught_up(control, url, store, projections)
                pairs[name].append(Pair(product=events / took_s, against=events / copied_s))
        found = _first(control, "select count(*) from projection_order_status.orders")
    wrong = [] if found == orders else [f"order_status has {found} orders, not {orders}"]
    setting = f"{events:,} events of {orders:,} orders, {plan.rounds} x 2 turns"
    return [_contest(name, setting, laps, wrong) for name, laps in pairs.items()]


def _contest(name: str, setting: str, pairs: list[Pair], wrong: list[str]) -> Contest:
    against = "raw copy-out plus copy-in"
    return Contest(
        name="replay", product=name, against=against, unit="events/s", setting=setting, pairs=pairs, wrong=wrong
    )


def _copied(control: psycopg.Connection[Any], url: str, events: int) -> float:
    """Seconds of copy-out plus copy-in of the whole log. The copy is gone afterwards."""
    control.execute("create schema raw")
    control.execute(
        "create table raw.copied (notification_id bigint not null, originator_id uuid not null,"
        " originator_version bigint not null, topic text not null, state bytea not null,"
        " primary key (originator_id, originator_version))"
    )
    control.execute("create unique index on raw.copied (notification_id)")
    began = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for start in range(0, events, PART_ROWS):
            within = (
                f"notification_id > {start:d} and notification_id <= {start + PART_ROWS:d} order by notification_id"
            )
            rows = f"select {COLUMNS} from public.order_events where {within}"
            with cursor.copy(f"copy ({rows}) to stdout (format binary)") as out:
                part = b"".join(bytes(piece) for piece in out)
            with cursor.copy(f"copy raw.copied ({COLUMNS}) from stdin (format binary)") as into:
                into.write(part)
    took_s = time.perf_counter() - began
    control.execute("drop schema raw cascade")
    return took_s


def _caught_up(
    control: psycopg.Connection[Any],
    url: str,
    store: PostgresEventStore,
    projections: Sequence[Projection],
    others: Sequence[str] = (),
) -> float:
    """Seconds from a start without tables until all of them, and the other followers, are at the head of the log."""
    for projection in PROJECTIONS:
        control.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(projection.schema)))
        control.execute("delete from public.follower_checkpoint where name = %s", [projection.name])
    head = store.head()
    stop = Event()
    began = time.perf_counter()
    thread = Thread(
        target=run_projector, args=(store, url, stop, lambda: None), kwargs={"projections": projections}, daemon=True
    )
    thread.start()
    try:
        _wait_for(control, [*(one.name for one in projections), *others], head)
        return time.perf_counter() - began
    finally:
        stop.set()
        thread.join(STOP_S)


def _wait_for(control: psycopg.Connection[Any], names: Sequence[str], head: int) -> None:
    """Raises ServerFailed where nothing moves any more."""
    moved_at, seen = time.monotonic(), 0
    while True:
        rows = control.execute(
            "select name, position from public.follower_checkpoint where name = any(%s)", [list(names)]
        ).fetchall()
        if len(rows) == len(names) and all(position == head for _, position in rows):
            return
        if (done := sum(position for _, position in rows)) != seen:
            moved_at, seen = time.monotonic(), done
        elif time.monotonic() - moved_at > STALLED_S:
            raise ServerFailed(f"no projection has moved for {STALLED_S:g} s: {dict(rows)}, the log has {head} events")
        time.sleep(POLL_S)


def _first(control: psycopg.Connection[Any], statement: str) -> int:
    row = control.execute(statement).fetchone()
    return 0 if row is None else int(row[0])


if __name__ == "__main__":
    raise SystemExit(main())
