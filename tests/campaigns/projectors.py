"""Kills projectors and writers at random, and checks that every row is what a fresh fold of the log makes it.

    python -m tests.campaigns.projectors --kills 100 --seed 7

Four `orders projector` keep the query tables from a log that three writers append to. One or two of them at a time are
killed with SIGKILL and started again. After each blow the tables must go on within a bound; in the end each table
must be what `orders verify` makes of the whole log, from nothing.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import psycopg
from msgspec import Struct

from load.balance import Findings, counted
from load.servers import embedded_database, temporary_folder
from orders.eventstore.postgres import PostgresEventStore
from projections.registry import PROJECTIONS
from tests.campaigns.concluding import conclude, told_seed
from tests.support.projector_process import ProjectorProcess
from tests.support.waiting import wait_until

WRITER_EVENTS_S = 100.0
INSTRUMENTS = 20
BOTH_SHARE = 0.3  # of the blows kill two at once
TAKEOVER_S = 5.0  # the promise: another takes over within this
STUCK_S = 30.0  # then the campaign ends
QUERY_S = 30  # of the campaign's own, which take a millisecond
VERIFY_S = 600.0
_STANDS = """
    select c.name, c.position, l.pid from public.follower_checkpoint c left join pg_locks l on l.granted
    and l.locktype = 'advisory' and l.objsubid = 1
    and (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('follower ' || c.name, 0)
    where c.name = any(%s)
"""

Stands = dict[str, tuple[int, int | None]]
"""By projection: its position, and the server's number of the connection that leads it."""


class Outcome(Struct):
    """`takeovers_s`: of the blows that hit who kept a projection, how long until all tables held what the log held."""

    kills: Counter[str]
    takeovers_s: list[float]
    events: int
    seconds: float
    findings: Findings

    def __str__(self) -> str:
        ordered = sorted(self.takeovers_s) or [0.0]
        return (
            f"{self.kills.total()} kills ({counted(self.kills)}), {self.events:,} events in {self.seconds:.0f} s;"
            f" {len(self.takeovers_s)} takeovers, {ordered[len(ordered) // 2]:.2f} s in the middle, at most"
            f" {ordered[-1]:.2f} s; {len(PROJECTIONS)} projections verified\n{self.findings}"
        ).rstrip()


class Campaign:
    def __init__(self, url: str, folder: Path, seed: int, *, projectors: int, writers: int) -> None:
        self.url = url
        self.seed = seed
        self.rng = random.Random(seed)
        self.projectors = [ProjectorProcess(url, folder / f"projector-{n}.log") for n in range(projectors)]
        self.writers: list[subprocess.Popen[bytes]] = []
        self._writer_count = writers
        self.started = 0
        self.outcome = Outcome(Counter(), [], 0, 0.0, Findings())
        self._store = PostgresEventStore(url, application_name="campaign")
        self._database: psycopg.Connection[Any] = psycopg.connect(
            url, autocommit=True, connect_timeout=QUERY_S, options=f"-c statement_timeout={QUERY_S}s"
        )

    def run(self, kills: int) -> Outcome:
        began_at = time.monotonic()
        with ExitStack() as stack:
            stack.callback(self._end)
            self.projectors[0].start()
            self.projectors[0].wait_ready()
            self._wait_for(0)
            for projector in self.projectors[1:]:
                projector.start()
            self.writers = [self._writer() for _ in range(self._writer_count)]
            self._wait_for(1)
            self._strike([0])  # who keeps them all; afterwards nobody here knows who does
            while (left := kills - self.outcome.kills.total()) > 0:
                count = min(left, 1 + (self.rng.random() < BOTH_SHARE))
                self._strike(self.rng.sample(range(len(self.projectors) + len(self.writers)), count))
            for writer in self.writers:
                writer.kill()
                writer.wait()
            self.outcome.events = self._head()
            self._wait_for(self.outcome.events)
            for projector in self.projectors:
                projector.wait_ready()
                if (code := projector.stop()) != 0:
                    self.outcome.findings.add("exit", f"a projector ended with {code}")
        self.outcome.seconds = time.monotonic() - began_at
        return self.outcome

    def _strike(self, doomed: list[int]) -> None:
        threading.Event().wait(self.rng.uniform(0.05, 0.5))
        # Someone is to be there who can take over.
        others = [projector for number, projector in enumerate(self.projectors) if number not in doomed]
        wait_until(lambda: any(other.is_ready for other in others), within_s=STUCK_S, what="one who stands by")
        before, head = self._stands(), self._head()
        began_at = time.monotonic()
        for number in doomed:
            if number < len(self.projectors):
                self.outcome.kills["projector"] += 1
                self.projectors[number].kill()
            else:
                self.outcome.kills["writer"] += 1
                self._kill_writer(number - len(self.projectors))
        after = self._wait_for(head + 1)
        for number in doomed:
            # Not before: one that stood by is to take over, not one that has just started.
            if number < len(self.projectors):
                self.projectors[number].start()
        if any(after[name][1] != pid for name, (_, pid) in before.items()):
            took_s = time.monotonic() - began_at
            self.outcome.takeovers_s.append(took_s)
            if took_s > TAKEOVER_S:
                self.outcome.findings.add("takeover", f"the tables stood for {took_s:.1f} s")

    def _kill_writer(self, number: int) -> None:
        self.writers[number].kill()
        self.writers[number].wait()
        self.writers[number] = self._writer()

    def _writer(self) -> subprocess.Popen[bytes]:
        self.started += 1
        # Another seed each time: a seed's orders have their ids of it.
        arguments = [self.url, f"{self.seed}-{self.started}", "0", str(WRITER_EVENTS_S), str(INSTRUMENTS)]
        return subprocess.Popen([sys.executable, "-m", "tests.campaigns.order_writer", *arguments])

    def _wait_for(self, position: int) -> Stands:
        """Until all tables hold the log up to there, each led by someone."""
        return wait_until(self._all_hold(position), within_s=STUCK_S, what=f"tables that hold {position}")

    def _all_hold(self, position: int) -> Callable[[], Stands]:
        def held() -> Stands:
            stands = self._stands()
            there = [at >= position and pid is not None for at, pid in stands.values()]
            return stands if len(there) == len(PROJECTIONS) and all(there) else {}

        return held

    def _stands(self) -> Stands:
        names = [projection.name for projection in PROJECTIONS]
        return {name: (at, pid) for name, at, pid in self._database.execute(_STANDS, [names]).fetchall()}

    def _head(self) -> int:
        return self._store.head()

    def _end(self) -> None:
        for projector in self.projectors:
            projector.close()
        for writer in self.writers:
            writer.kill()
            writer.wait()
        self._database.close()
        self._store.close()


def verify(url: str, findings: Findings) -> None:
    """Adds that `orders verify` found something, and prints what, however much else was found."""
    settings = {**os.environ, "DATABASE_URL": url, "NO_COLOR": "1"}
    command = [sys.executable, "-m", "order_service", "verify"]
    said = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=VERIFY_S, check=False)
    if said.returncode:
        print(f"orders verify:\n{said.stdout}{said.stderr}", file=sys.stderr, flush=True)
        findings.add("verify", f"it ended with {said.returncode}\n{said.stdout}{said.stderr}")


def run(url: str, *, kills: int, seed: int, projectors: int = 4, writers: int = 3) -> Outcome:
    """Over a migrated database with an empty log."""
    with temporary_folder() as folder:
        outcome = Campaign(url, folder, seed, projectors=projectors, writers=writers).run(kills)
    verify(url, outcome.findings)
    return outcome


@click.command(help=__doc__)
@click.option("--kills", default=100, show_default=True)
@click.option("--seed", default=None, type=int, help="Of the orders and of who is killed when.  [default: the clock's]")
def main(kills: int, seed: int | None) -> None:
    seed = told_seed(seed)
    with temporary_folder() as folder, embedded_database(folder) as url:
        outcome = run(url, kills=kills, seed=seed)
    conclude(outcome)


if __name__ == "__main__":
    main()
