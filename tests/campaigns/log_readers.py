"""Four writers and three readers on one log, while writers are stopped, killed and started again.

`python -m tests.campaigns.log_readers [--events 200000] [--seed N] [--url URL]` ends with one line and 0, or 1 where a
reader skipped or repeated an event, or what was acknowledged is not in the log. Without a URL it starts a PostgreSQL of
its own. `--spoil lock` takes the append lock away, `--spoil sequence` takes positions from a sequence: it must then end
with 1.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import psycopg

from order_service.migrations import migrate
from order_service.postgres import EmbeddedPostgres
from orders.eventstore.postgres import PostgresEventStore
from tests.campaigns.log_processes import Digest
from tests.support.postgres import passable_folder

WRITERS = 4
READER_LIMITS = (7, 200, 2_000)  # events a read: one crawls, one walks, one runs
PAUSE_S = 0.03  # between two blows
STOPPED_S = 0.2  # how long a stopped process sleeps
END_S = 60.0  # for writers and readers to end once they should
LIMIT_S = 900.0
ROOT = Path(__file__).parents[2]
LOCK = ("perform pg_advisory_xact_lock(1869767794, 1);", "")
SPOILS = {
    "lock": [LOCK],
    "sequence": [
        LOCK,
        ("select head + place,", "select nextval('positions'),"),
        ("select head + row_number() over (order by place),", "select nextval('positions'),"),
    ],
}


class CampaignFailed(Exception):
    """Says what was promised and not kept."""


@dataclass
class Campaign:
    url: str
    events: int
    seed: int
    folder: Path
    kills: int
    rng: random.Random = field(init=False)
    started: int = 0
    stops: int = 0
    killed: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def run(self) -> str:
        """What was seen, in a line. Raises CampaignFailed."""
        began_at = time.monotonic()
        readers = [self._spawn("reader", self.url, str(limit)) for limit in READER_LIMITS]
        writers = [self._writer() for _ in range(WRITERS)]
        try:
            self._harass(writers, readers)
            seen = [self._ended(reader) for reader in readers]
            self._judge(seen)
        finally:
            for process in (*readers, *writers):
                process.kill()
                process.communicate()
        took_s = time.monotonic() - began_at
        return (
            f"{seen[0]['events']} events by {WRITERS} writers ({self.killed} killed, {self.stops} stops) and"
            f" {len(seen)} readers in {took_s:.1f} s: no gap, no repeat, nothing acknowledged was lost"
        )

    def _harass(self, writers: list[subprocess.Popen[str]], readers: list[subprocess.Popen[str]]) -> None:
        """Until every writer has ended by itself: stops one, or kills one and starts another in its place."""
        give_up_at = time.monotonic() + LIMIT_S
        never = Event()
        while any(writer.poll() is None for writer in writers):
            if time.monotonic() > give_up_at:
                raise CampaignFailed(f"the writers did not end within {LIMIT_S:.0f} s")
            never.wait(PAUSE_S)
            failed = [process for process in (*writers, *readers) if process.poll() not in (None, 0)]
            if failed:
                raise CampaignFailed(f"a process failed: {_last_words(failed[0])}")
            n = self.rng.randrange(WRITERS)
            if self.killed < self.kills and self.rng.random() < 0.25 and writers[n].poll() is None:
                self.killed += 1
                writers[n].kill()
                writers[n].communicate()
                writers[n] = self._writer()
            elif self.rng.random() < 0.2:
                stopped = self.rng.choice([*writers, *readers])
                self.stops += 1
                stopped.send_signal(signal.SIGSTOP)
                never.wait(self.rng.uniform(0, STOPPED_S))
                stopped.send_signal(signal.SIGCONT)

    def _judge(self, seen: list[dict[str, object]]) -> None:
        store = PostgresEventStore(self.url)
        digest = Digest()
        positions: dict[str, int] = {}
        versions: dict[object, int] = {}
        after = 0
        while batch := store.read_log(after=after, limit=10_000):
            digest.add(batch)
            for event in batch:
                after += 1
                if event.position != after:
                    raise CampaignFailed(f"position {after} is missing in the log")
                if event.version != versions.get(event.stream_id, 0) + 1:
                    raise CampaignFailed(f"stream {event.stream_id} has no version before {event.version}")
                versions[event.stream_id] = event.version
                positions[str(event.event.event_id)] = event.position
        store.close()
        if digest.count < self.events or len(positions) != digest.count:
            raise CampaignFailed(f"{digest.count} events with {len(positions)} ids, of {self.events} at least")
        for reader in seen:
            if (reader["events"], reader["digest"]) != (digest.count, digest.hex()):
                raise CampaignFailed(f"a reader saw {reader}, the log has {digest.count} events, {digest.hex()}")
        for position, event_id in self._acknowledged():
            if positions.get(event_id) != position:
                raise CampaignFailed(f"acknowledged at {position}: {event_id}; it is at {positions.get(event_id)}")

    def _acknowledged(self) -> Iterator[tuple[int, str]]:
        for ledger in self.folder.iterdir():
            for line in ledger.read_text().splitlines():
                position, event_id = line.split()
                yield int(position), event_id

    def _writer(self) -> subprocess.Popen[str]:
        self.started += 1
        ledger = self.folder / f"writer-{self.started}"
        return self._spawn("writer", self.url, f"{self.seed}-{self.started}", str(self.events), str(ledger))

    def _spawn(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.campaigns.log_processes", *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _ended(self, reader: subprocess.Popen[str]) -> dict[str, object]:
        reader.send_signal(signal.SIGTERM)
        try:
            out, err = reader.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            raise CampaignFailed("a reader does not end") from None
        if reader.returncode:
            raise CampaignFailed(f"a reader failed: {err[-500:]}")
        seen: dict[str, object] = json.loads(out)
        return seen


def _last_words(process: subprocess.Popen[str]) -> str:
    _, err = process.communicate()
    lines = [line for line in err.splitlines() if line and not line.startswith((" ", "DETAIL", "CONTEXT", "HINT"))]
    return next((line for line in lines if "Error" in line or "psycopg." in line or "BrokenLog" in line), err[-500:])


def spoil(url: str, how: str) -> None:
    """Replaces the append function by one that does not keep the promise."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select pg_get_functiondef('append_events'::regproc)").fetchone()
        assert row is not None
        definition = str(row[0])
        for part, replacement in SPOILS[how]:
            assert part in definition, f"append_events has no {part!r} any more"
            definition = definition.replace(part, replacement)
        connection.execute("create sequence positions")
        connection.execute(definition)


def run_campaign(url: str, *, events: int, seed: int, kills: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return Campaign(url, events, seed, Path(folder), kills).run()


@contextmanager
def own_database() -> Iterator[str]:
    with passable_folder() as folder, EmbeddedPostgres(folder) as server:
        migrate(server.url)
        yield server.url


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--url", help="an empty, migrated database")
    parser.add_argument("--spoil", choices=SPOILS)
    options = parser.parse_args()
    with nullcontext(options.url) if options.url else own_database() as url:
        if options.spoil:
            spoil(url, options.spoil)
        try:
            print(run_campaign(url, events=options.events, seed=options.seed, kills=options.kills))
        except CampaignFailed as failed:
            print(f"seed {options.seed}: {failed}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
