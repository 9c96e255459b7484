"""`make bench-reports`: execution reports through the socket into the log, against raw COPY of the same rows.

A simulated exchange has a journal full of reports; the product's adapter reads them from the first. Between the pieces
of the run the socket is cut, and the events just recorded are copied once more by raw COPY into a table of the same
shape: the ratio is taken within each such pair. Adapter, exchange, PostgreSQL and the relay of this program share the
cores; nothing is pinned. The adapter's memory is looked at every second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import psutil
import psycopg
from msgspec import Struct

from exchange_adapter.bounds import REPORT_BATCH
from exchange_adapter.work.duties import FOLLOWER
from load.gate import Gate
from load.raw_copy import RawCopy
from load.report_journal import Shape, orders_at_the_venue, write_journal
from load.results import Contest, Pair, arguments_of, finish, number_from
from load.servers import ServerFailed, embedded_database, part, running_exchange, temporary_folder
from orders.eventstore.postgres import PostgresEventStore

FILLS = 9  # of each order, and the report that it was accepted
ABREAST = 1_000  # orders worked on at a time: as many as there are reports in a batch, so nearly each is a unit
SKEWED_ORDERS = 20
PIECES = 5
MIN_PIECE = 3 * REPORT_BATCH  # reports: a piece is measured from its first commit to its last, so it needs several
POLL_S = 0.02
STANDS_STILL_S = 1.5  # nothing new for so long: what was read is recorded, what followed the log has caught up
STALLED_S = 30.0  # a reader that was cut tries again within 5 s
MEMORY_EVERY_S = 1.0
WARM_UP_SHARE = 0.2  # of a run: caches fill


class Plan(Struct, frozen=True, kw_only=True):
    """`reports` in all; `skewed`: those of 20 orders only."""

    reports: int = 100_000
    skewed: bool = False
    pieces: int = PIECES

    @property
    def shape(self) -> Shape:
        if self.skewed:
            return Shape(SKEWED_ORDERS, max(1, self.reports // SKEWED_ORDERS - 1), SKEWED_ORDERS)
        return Shape(max(1, self.reports // (FILLS + 1)), FILLS, ABREAST)


class Memory(Struct, frozen=True):
    """Of the adapter's process, after so many events of the run."""

    events: int
    resident_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("make bench-reports", __doc__)
    parser.add_argument("--reports", type=number_from(int, 1, 10_000_000), default=Plan().reports)
    parser.add_argument("--pieces", type=number_from(int, 1, 1000), default=PIECES, help="with a cut between two")
    parser.add_argument("--skewed", action="store_true", help=f"all of {SKEWED_ORDERS} orders")
    given = parser.parse_args(arguments)
    if given.reports < given.pieces * MIN_PIECE:
        least = given.pieces * MIN_PIECE
        parser.error(f"a piece needs {MIN_PIECE:,} reports: --reports {least} or more, or fewer --pieces")
    plan = Plan(reports=given.reports, skewed=given.skewed, pieces=given.pieces)
    return finish(plan, lambda: measure(plan), given.folder, "reports")


def measure(plan: Plan) -> list[Contest]:
    """Raises ServerFailed."""
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        store = PostgresEventStore(url, application_name="load")
        running.callback(store.close)
        write_journal(folder / "exchange", orders_at_the_venue(store, plan.shape), plan.shape)
        exchange = running.enter_context(running_exchange(folder / "exchange"))
        gate = running.enter_context(Gate(folder / "gate.sock", exchange))
        settings = {
            "DATABASE_URL": url,
            "ORDERS_DATA_DIR": str(folder),
            "EXCHANGE": "simulated",
            "EXCHANGE_ADDRESS": str(gate.path),
        }
        process = psutil.Process(running.enter_context(part("adapter", folder, settings)).pid)
        copy = running.enter_context(RawCopy(url))
        control = running.enter_context(psycopg.connect(url, autocommit=True))
        run = Run(store, control, gate, process, copy)
        pairs = run.all(plan)
        size_bytes = _first(control, "select pg_database_size(current_database())")
        wrong = _wrong(control, copy, run.began_at, plan.shape)
    notes = [memory_words(run.memory, plan), f"database at the end, the copy included: {size_bytes / 1e6:,.0f} MB"]
    return [contest(plan, pairs, notes, wrong)]


def contest(plan: Plan, pairs: list[Pair], notes: list[str], wrong: list[str]) -> Contest:
    shape = plan.shape
    return Contest(
        name="reports",
        product="fills into the log",
        against="raw COPY of them",
        unit="rows/s",
        setting=f"{plan.reports:,} reports of {shape.orders:,} orders, {shape.abreast:,} at a time;"
        f" {plan.pieces} pieces",
        pairs=pairs,
        notes=notes,
        wrong=wrong,
    )


class Run:
    """The pieces of a run, one after the other."""

    def __init__(
        self,
        store: PostgresEventStore,
        control: psycopg.Connection[tuple[object, ...]],
        gate: Gate,
        process: psutil.Process,
        copy: RawCopy,
    ) -> None:
        self.began_at = store.head()
        self.memory: list[Memory] = []
        self._store, self._control, self._gate, self._process, self._copy = store, control, gate, process, copy
        self._looked_at = 0.0

    def all(self, plan: Plan) -> list[Pair]:
        self._wait(self._followed, "the adapter to follow the log")
        events = plan.shape.recorded
        ends = [self.began_at + events * (number + 1) // plan.pieces for number in range(plan.pieces)]
        return [self._piece(end) for end in ends if end > self._store.head()]

    def _piece(self, end: int) -> Pair:
        """From the first commit after the cut on; the CPU is the adapter's."""
        start = self._store.head()
        self._gate.open()
        self._wait(lambda: self._store.head() > start, "the first reports")
        first, cpu_s, began = self._store.head(), self._cpu_s(), time.perf_counter()
        self._wait(lambda: self._store.head() >= end, "the reports")
        last, took_s = self._store.head(), time.perf_counter() - began
        self._gate.shut()
        self._wait(self._followed, "the adapter to follow the log")
        cpu_s = self._cpu_s() - cpu_s
        head = self._store.head()
        return Pair(
            product=(last - first) / took_s,
            against=self._copy.rows_per_second(start, head),
            figures={"adapter's CPU, µs a fill": cpu_s / (head - first) * 1e6},
        )

    def _followed(self) -> bool:
        """Nothing new is recorded, and the adapter's own reader of the log is at its end."""
        head = self._store.head()
        time.sleep(STANDS_STILL_S)
        done = _first(self._control, "select position from public.follower_checkpoint where name = %s", FOLLOWER)
        return done == self._store.head() == head

    def _wait(self, what: Callable[[], bool], name: str) -> None:
        """Until it is so. Raises ServerFailed where the log stands still for long meanwhile."""
        head, moved_at = self._store.head(), time.monotonic()
        while not what():
            now, before, head = time.monotonic(), head, self._store.head()
            if head != before:
                moved_at = now
            elif now - moved_at > STALLED_S:
                raise ServerFailed(f"waited for {name}: nothing new in the log for {STALLED_S:g} s")
            if now - self._looked_at >= MEMORY_EVERY_S:
                self._looked_at = now
                self.memory.append(Memory(head - self.began_at, self._process.memory_info().rss))
            time.sleep(POLL_S)

    def _cpu_s(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


def _first(control: psycopg.Connection[tuple[object, ...]], statement: str, *values: object) -> int:
    row = control.execute(statement, values).fetchone()
    return 0 if row is None else int(str(row[0]))


def _wrong(control: psycopg.Connection[tuple[object, ...]], copy: RawCopy, began_at: int, shape: Shape) -> list[str]:
    """Each fill of the journal stands in the log once and nothing else does; the copy is the same."""
    wrong: list[str] = []
    log = "from public.order_events where notification_id > %s"
    ids = "count(distinct convert_from(state, 'UTF8')::jsonb ->> 'exec_id')"
    if (events := _first(control, f"select count(*) {log}", began_at)) != shape.recorded:
        wrong.append(f"{events} events were recorded, not {shape.recorded}")
    if (fills := _first(control, f"select {ids} {log}", began_at)) != shape.recorded:
        wrong.append(f"{fills} fills were recorded, not {shape.recorded}")
    if missing := copy.differences(began_at):
        wrong.append(f"{missing} events were not copied as they are")
    return wrong


def memory_words(memory: Sequence[Memory], plan: Plan) -> str:
    events = plan.shape.recorded
    at = {
        name: min(memory, key=lambda sample: abs(sample.events - share * events))
        for name, share in (("10 %", 0.1), ("half", 0.5), ("end", 1.0))
    }
    shown = ", ".join(f"{name} {sample.resident_bytes / 1e6:.1f}" for name, sample in at.items())
    growth = growth_bytes([sample for sample in memory if sample.events >= WARM_UP_SHARE * events])
    grown = "not known" if growth is None else f"{growth * 100_000 / 1e6:+.2f} MB"
    return f"adapter's memory, MB: {shown}; growth per 100,000 after the first fifth: {grown}"


def growth_bytes(samples: Sequence[Memory]) -> float | None:
    """Bytes an event, by least squares; None where the samples do not tell."""
    count = len(samples)
    if count < 2:
        return None
    middle = sum(sample.events for sample in samples) / count
    spread_out = sum((sample.events - middle) ** 2 for sample in samples)
    if not spread_out:
        return None
    return sum((sample.events - middle) * sample.resident_bytes for sample in samples) / spread_out


if __name__ == "__main__":
    raise SystemExit(main())
