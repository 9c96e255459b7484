"""Rebuilds the query tables again and again while the log grows, and checks each against the live ones.

    python -m tests.campaigns.rebuilds --rebuilds 200 --seed 7

A projector follows a log of random histories. Before each rebuild the log grows by some of them; beside some rebuilds
writers go on; some are killed with SIGKILL at a random place, and another one resumes them. Each must find the live
tables equal to its own, at one position. In the end `orders verify` folds the whole log once more.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch

import click
import psycopg
from msgspec import Struct

from load.balance import Findings, counted
from load.servers import embedded_database, temporary_folder
from order_service.postgres import service_url
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint, read_checkpoint
from projections.errors import RebuildRunning
from projections.filling import FAST
from projections.projection import Projection
from projections.rebuild import Progress, Rebuilt, rebuilding
from projections.registry import PROJECTIONS
from projections.survey import survey
from tests.campaigns.concluding import told_seed
from tests.campaigns.order_writer import OrderWriter, codes
from tests.campaigns.projectors import verify
from tests.support.projector_process import ProjectorProcess
from tests.support.waiting import wait_until

GROWTH_UNITS = 120  # appended before a rebuild, at most
LOG_REBUILDS = 20  # of one log: each reads all of it, and so many of a longer one would take hours
KILLED_SHARE, WRITERS_SHARE, ROLLED_BACK_SHARE = 0.2, 0.3, 0.1
HELD_SHARE = 0.5  # of the kills: between two batches, for sure; the others fall where they fall, also after the end
WRITER_EVENTS_S = 100.0
BATCHES = (1, 7, 50, 1_000)
BATCHES_BESIDE_WRITERS = BATCHES[2:]  # smaller ones come no nearer to a log that grows
INSTRUMENTS = 10
FOLLOW_S = 90.0  # it takes a second; this beside a machine that is many times too busy
REPLAY_S = 90.0


class Outcome(Struct):
    """`kinds` counts the rebuilds by what happened beside them; `resumed` those that went on where a kill left them."""

    kinds: Counter[str]
    resumed: int
    events: int
    seconds: float
    findings: Findings

    def __str__(self) -> str:
        return (
            f"{self.kinds['equal']} rebuilds equal to the live tables ({counted(self.kinds)}), {self.resumed} resumed"
            f" in the middle; {self.events:,} events in {self.seconds:.0f} s\n{self.findings}"
        ).rstrip()


class Campaign:
    def __init__(self, url: str, folder: Path, seed: int) -> None:
        self.url = url = service_url(url)
        self.rng = random.Random(seed)
        self.seed = seed
        self.outcome = Outcome(Counter(), 0, 0, 0.0, Findings())
        self._writer = OrderWriter(random.Random(f"{seed}-own"), codes(INSTRUMENTS))
        self._projector = ProjectorProcess(url, folder / "projector.log")
        self._store = PostgresEventStore(url, application_name="campaign")
        self._database: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        self._writers = 0

    def run(self, rebuilds: int) -> Outcome:
        began_at = time.monotonic()
        with ExitStack() as stack:
            for closing in (self._database.close, self._store.close, self._projector.close):
                stack.callback(closing)
            self._projector.start()
            self._projector.wait_ready()
            while self.outcome.kinds["equal"] < rebuilds and not self.outcome.findings:
                self._one(self.rng.choice(PROJECTIONS))
            self.outcome.events = self._store.head()
            self._wait_until_followed()
        self.outcome.seconds = time.monotonic() - began_at
        return self.outcome

    def _one(self, projection: Projection) -> None:
        self._store.append(self._writer.units(self.rng.randint(1, GROWTH_UNITS)))
        self._wait_until_followed()
        killed = False
        beside_writers = self.rng.random() < WRITERS_SHARE
        batch_events = self.rng.choice(BATCHES_BESIDE_WRITERS if beside_writers else BATCHES)
        with self._writing(beside_writers):
            if self.rng.random() < KILLED_SHARE:
                killed = self._kill_one(projection)
            with patch("projections.filling.REBUILD_BATCH_EVENTS", batch_events):
                done = self._rebuild(projection)
        self._judge(projection, done)
        self.outcome.resumed += killed and 0 < done.resumed_at < done.position
        if self.rng.random() < ROLLED_BACK_SHARE:
            self.outcome.kinds["rolled back"] += 1
            with rebuilding(projection, self._store, self.url, pace=FAST) as rebuild:
                rebuild.roll_back()

    def _rebuild(self, projection: Projection) -> Rebuilt:
        def done() -> Rebuilt | None:
            try:
                with rebuilding(projection, self._store, self.url, pace=FAST) as rebuild:
                    return rebuild.replay()
            except RebuildRunning:  # the server has not noticed yet that the other one was killed
                return None

        found = wait_until(done, within_s=REPLAY_S, what="the rebuild")
        assert found is not None
        return found

    def _judge(self, projection: Projection, done: Rebuilt) -> None:
        assert done.comparison is not None
        if done.comparison.equal is None:  # what was resumed was ahead of the live tables
            self.outcome.kinds["not compared"] += 1
        elif done.comparison.equal:
            self.outcome.kinds["equal"] += 1
        else:
            self.outcome.findings.add("difference", f"{projection.name}: {done.comparison}")

    def _kill_one(self, projection: Projection) -> bool:
        """Whether it was killed before it had ended; then the live tables must be as they were."""
        self.outcome.kinds["killed"] += 1
        before = self._checkpoint(projection)
        target = self.rng.randint(1, max(1, self._store.head() // 2))
        # The first of all is held, so that there is one which is killed in the middle.
        held = self.outcome.kinds["killed"] == 1 or self.rng.random() < HELD_SHARE
        asked = (self.url, projection.name, target if held else sys.maxsize)
        code = f"from tests.campaigns import rebuilds; rebuilds.rebuild_slowly(*{asked!r})"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)

        def there() -> bool:
            shadow = survey(self._database, projection).shadow
            return process.poll() is not None or (shadow is not None and (shadow.position or 0) >= target)

        wait_until(there, within_s=REPLAY_S, what="the rebuild that is to be killed")
        process.kill()
        process.wait()
        after = self._checkpoint(projection)
        if after.position < before.position or after.generation - before.generation not in (0, 1):
            self.outcome.findings.add("killed", f"{projection.name} went from {before} to {after}")
        return after.generation == before.generation

    @contextmanager
    def _writing(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        self.outcome.kinds["during writes"] += 1
        self._writers += 1
        arguments = [self.url, f"{self.seed}-{self._writers}", "0", str(WRITER_EVENTS_S), str(INSTRUMENTS)]
        head = self._store.head()
        writer = subprocess.Popen([sys.executable, "-m", "tests.campaigns.order_writer", *arguments])
        try:
            wait_until(lambda: self._store.head() > head, within_s=FOLLOW_S, what="the writer")
            yield
        finally:
            writer.kill()
            writer.wait()

    def _checkpoint(self, projection: Projection) -> Checkpoint:
        return read_checkpoint(self._database, projection.name) or Checkpoint(0, 0)

    def _wait_until_followed(self) -> None:
        head = self._store.head()
        for projection in PROJECTIONS:
            wait_until(
                lambda projection=projection: self._checkpoint(projection).position >= head,  # type: ignore[misc]
                within_s=FOLLOW_S,
                what=f"{projection.name} at {head}",
            )


def rebuild_slowly(url: str, name: str, stay_at: int) -> None:
    """In small batches with pauses, so that there is time to be killed; it goes no further than the batch that reaches
    `stay_at`."""
    (projection,) = (one for one in PROJECTIONS if one.name == name)
    store = PostgresEventStore(url)

    def told(progress: Progress) -> None:
        if progress.position >= stay_at:
            Event().wait()

    with (
        patch("projections.filling.REBUILD_BATCH_EVENTS", 30),
        patch("projections.rebuild.REBUILD_TOLD_S", 0.0),
        rebuilding(projection, store, url, told=told) as rebuild,
    ):
        rebuild.replay()


def run(url: str, *, rebuilds: int, seed: int) -> Outcome:
    """Over a migrated database with an empty log."""
    with temporary_folder() as folder:
        outcome = Campaign(url, folder, seed).run(rebuilds)
    verify(url, outcome.findings)
    return outcome


@click.command(help=__doc__)
@click.option("--rebuilds", default=200, show_default=True)
@click.option("--seed", default=None, type=int, help="Of the orders and of who is killed when.  [default: the clock's]")
def main(rebuilds: int, seed: int | None) -> None:
    seed = told_seed(seed)
    for number, done in enumerate(range(0, rebuilds, LOG_REBUILDS), 1):
        with temporary_folder() as folder, embedded_database(folder) as url:
            outcome = run(url, rebuilds=min(LOG_REBUILDS, rebuilds - done), seed=seed + number - 1)
        print(f"log {number}: {outcome}", flush=True)
        if outcome.findings:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
