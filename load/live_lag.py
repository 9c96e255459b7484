"""How far query tables are behind the log while events come at a steady rate: from commit to visible.

    python -m load.live_lag --events-per-s 3000 --seconds 20

Events of whole order histories are appended every 10 ms, open loop: an append that comes late is made up for by the
next ones. The product's projector runs in a process of its own. A projection says with each commit where it is
(NOTIFY), and its rows can be read from then on; the lag of an append is the time from its answer to the moment at which
that is heard here. Generator, projector and PostgreSQL (fsync on) share the cores, nothing is pinned.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import psycopg
from msgspec import Struct

from load.log_histories import appends
from load.results import arguments_of, conclude, machine, number_from
from load.servers import STOP_S, ServerFailed, embedded_database, part, temporary_folder
from orders.eventstore.port import Appended
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import CHANNEL
from projections.registry import PROJECTIONS

APPEND_EVERY_S = 0.01
EVENTS_A_UNIT = 1.03  # a command makes one event, a few make two
WARM_UP_S = 2.0  # connections, statements prepared; not counted
CATCH_UP_S = 30.0
POLL_S = 0.05


class Plan(Struct, frozen=True, kw_only=True):
    events_per_s: int = 2_000
    seconds: float = 20.0


class Lag(Struct, frozen=True, kw_only=True):
    """From the answer of an append to its last event visible, over the appends of a run."""

    p50_ms: float
    p99_ms: float
    worst_ms: float


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    plan: Plan
    appends: int
    events_per_s: float
    lags: dict[str, Lag]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("live_lag", __doc__)
    parser.add_argument("--events-per-s", type=number_from(int, 100, 50_000), default=Plan().events_per_s)
    parser.add_argument("--seconds", type=number_from(float, 0.5, 3_600), default=Plan().seconds)
    given = parser.parse_args(arguments)
    plan = Plan(events_per_s=given.events_per_s, seconds=given.seconds)
    report = conclude(lambda: measure(plan), table, given.folder, "live-lag")
    return 1 if report is None else 0


def measure(plan: Plan) -> Report:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        store = PostgresEventStore(url, application_name="load")
        running.callback(store.close)
        running.enter_context(part("projector", folder, {"DATABASE_URL": url, "ORDERS_DATA_DIR": str(folder)}))
        heard = running.enter_context(_Heard(url))
        answered = _append_steadily(store, plan)
        heard.wait_for(answered[-1][1])
    counted = [(at, position) for at, position in answered if at >= answered[0][0] + WARM_UP_S]
    (began, first), (ended, last) = counted[0], counted[-1]
    return Report(
        at=datetime.now(UTC),
        machine=machine(),
        plan=plan,
        appends=len(counted),
        events_per_s=(last - first) / (ended - began),
        lags={name: _lag(counted, steps) for name, steps in heard.steps.items()},
    )


def _append_steadily(store: PostgresEventStore, plan: Plan) -> list[tuple[float, int]]:
    """When each append was answered, and its last position."""
    units = max(1, round(plan.events_per_s * APPEND_EVERY_S / EVENTS_A_UNIT))
    seconds = plan.seconds + WARM_UP_S
    answered = []
    due = time.perf_counter()
    for append in appends(round(plan.events_per_s * seconds), units_an_append=units):
        if (left_s := due - time.perf_counter()) > 0:
            time.sleep(left_s)
        due += APPEND_EVERY_S
        answers = store.append_encoded(append)
        answered.append((time.perf_counter(), max(one.last_position for one in answers if isinstance(one, Appended))))
        if len(answered) * APPEND_EVERY_S >= seconds:
            break
    return answered


class _Heard:
    """When each projection said where it is, in a thread: `steps` by projection, as (position, heard at)."""

    def __init__(self, url: str) -> None:
        self.steps: dict[str, list[tuple[int, float]]] = {projection.name: [] for projection in PROJECTIONS}
        self._url = url
        self._stop = Event()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> _Heard:
        with psycopg.connect(self._url, autocommit=True) as connection:
            _wait_for_all(connection)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_S)

    def wait_for(self, position: int) -> None:
        """Until all projections are there. Raises ServerFailed."""
        give_up_at = time.monotonic() + CATCH_UP_S
        while not all(steps and steps[-1][0] >= position for steps in self.steps.values()):
            if time.monotonic() > give_up_at:
                raise ServerFailed(f"not all projections are at {position} after {CATCH_UP_S:g} s")
            time.sleep(POLL_S)

    def _listen(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f'listen "{CHANNEL}"')
            while not self._stop.is_set():
                for notify in connection.notifies(timeout=POLL_S):
                    at = time.perf_counter()
                    name, _, position = notify.payload.rpartition(":")
                    if name in self.steps:
                        self.steps[name].append((int(position), at))


def _wait_for_all(connection: psycopg.Connection[Any]) -> None:
    """Until every projection is followed. Raises ServerFailed."""
    give_up_at = time.monotonic() + CATCH_UP_S
    names = [f"follower {projection.name}" for projection in PROJECTIONS]
    followed = (
        "select count(distinct a.application_name) from pg_stat_activity a join pg_locks using (pid)"
        " where locktype = 'advisory' and granted and a.application_name = any(%s)"
    )
    while connection.execute(followed, [names]).fetchone() != (len(names),):
        if time.monotonic() > give_up_at:
            raise ServerFailed("the projector does not follow the log")
        time.sleep(POLL_S)


def _lag(answered: Sequence[tuple[float, int]], steps: Sequence[tuple[int, float]]) -> Lag:
    """Each append is visible with the first step that reaches its last event; what is heard before the answer is 0."""
    lags = sorted(
        max(0.0, steps[bisect_left(steps, position, key=lambda step: step[0])][1] - at) * 1000
        for at, position in answered
    )
    return Lag(p50_ms=lags[len(lags) // 2], p99_ms=lags[min(len(lags) - 1, len(lags) * 99 // 100)], worst_ms=lags[-1])


def table(report: Report) -> str:
    lines = [
        f"{report.events_per_s:,.0f} events/s in {report.appends:,} appends; from answered to visible, unpinned",
        f"{'':24}{'p50 ms':>12}{'p99 ms':>12}{'worst ms':>12}",
        *(f"{name:24}{lag.p50_ms:>12.1f}{lag.p99_ms:>12.1f}{lag.worst_ms:>12.1f}" for name, lag in report.lags.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
