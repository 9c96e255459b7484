"""`make bench-replay`: projections that catch up with a long log, against raw copy-out plus copy-in of its rows.

A log of whole order histories is written first. Then, in turns: raw binary COPY of all event rows out of the log and
into a plain table with the same two indexes, part by part; and the product's projector, from no tables to the head of
the log, for each projection alone and for all together. The ratio is taken within each round. Each round makes its
tables anew. The projector runs in this process; it and PostgreSQL (fsync on) share
the cores, nothing is pinned.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
from msgspec import Struct
from psycopg import sql

from load.bench import REPORTS, machine, number_from, spread
from load.log_histories import fill_log
from load.results import conclude
from load.servers import ServerFailed, embedded_database, temporary_folder
from order_service.processes import collect_rarely
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
    events: int = 1_000_000
    rounds: int = 3


class Lap(Struct, frozen=True, kw_only=True):
    """One round of one projection, or of all, with the raw copy before it."""

    events_per_s: float
    limit_per_s: float  # rows/s of copy-out plus copy-in

    @property
    def ratio(self) -> float:
        return self.events_per_s / self.limit_per_s


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    events: int
    orders: int
    wrong: list[str]  # what was not as it must be; empty
    laps: dict[str, list[Lap]]


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = _read(arguments)
    report = conclude(lambda: measure(plan), table, folder, "replay")
    return 1 if report is None or report.wrong else 0


def _read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    parser = argparse.ArgumentParser(prog="make bench-replay", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=number_from(int, 1_000, 20_000_000), default=Plan().events)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=Plan().rounds)
    parser.add_argument("--folder", type=Path, default=REPORTS, help="of the JSON report")
    given = parser.parse_args(arguments)
    return Plan(events=given.events, rounds=given.rounds), given.folder


def measure(plan: Plan) -> Report:
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
        contests: dict[str, Sequence[Projection]] = {one.name: [one] for one in PROJECTIONS}
        contests[ALL] = PROJECTIONS
        laps: dict[str, list[Lap]] = {name: [] for name in contests}
        events = store.head()
        _caught_up(control, url, store, PROJECTIONS, [CHAIN])  # from here on, only what is measured has to catch up
        wrong: list[str] = []
        for _ in range(plan.rounds):
            for name, projections in contests.items():
                limit_s = _copied(control, url, events)
                took_s = _caught_up(control, url, store, projections)
                laps[name].append(Lap(events_per_s=events / took_s, limit_per_s=events / limit_s))
            if (found := _first(control, "select count(*) from projection_order_status.orders")) != orders:
                wrong.append(f"order_status has {found} orders, not {orders}")
        return Report(
            at=datetime.now(UTC), machine=machine(), plan=plan, events=events, orders=orders, wrong=wrong, laps=laps
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


def table(report: Report) -> str:
    lines = [
        f"{report.events:,} events of {report.orders:,} orders; {report.plan.rounds} rounds in turns, unpinned",
        f"{'':36}{'lower quartile':>16}{'median':>12}{'upper quartile':>16}",
        _line(
            "raw copy-out plus copy-in, rows/s",
            [lap.limit_per_s for laps in report.laps.values() for lap in laps],
            ",.0f",
        ),
    ]
    for name, laps in report.laps.items():
        lines.append(_line(f"{name}, events/s", [lap.events_per_s for lap in laps], ",.0f"))
        lines.append(_line(f"{name} / raw", [lap.ratio for lap in laps], ".2f"))
    return "\n".join([*lines, *(f"WRONG: {line}" for line in report.wrong)])


def _line(name: str, values: Sequence[float], form: str) -> str:
    low, middle, high = (format(value, form) for value in spread(values))
    return f"{name:36}{low:>16}{middle:>12}{high:>16}"


if __name__ == "__main__":
    raise SystemExit(main())
