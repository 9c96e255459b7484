"""The processes of the campaign on the log: writers that are slow, roll back and conflict, and readers.

`python -m tests.campaigns.log_processes writer URL SEED EVENTS LEDGER` appends until the log has that many events, and
writes to its ledger what was acknowledged. `... reader URL LIMIT` follows the log until SIGTERM, reads what is left,
and prints one JSON line about what it saw.
"""

import json
import random
import signal
import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Event
from uuid import UUID, uuid4

import psycopg

from orders.eventstore.codec import encode_unit
from orders.eventstore.port import Appended, EventStoreError, Recorded, Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints, Subscription
from tests.support.log_events import placed

MOST_UNITS = 60
SLOW_S = 0.01
SLOW_SHARE, ROLL_BACK_SHARE, STALE_SHARE = 0.05, 0.05, 0.1
APPEND = "select head, dropped from append_events(%s, %s, %s, %s)"


class Digest:
    """Of a sequence of events: positions, streams, versions and ids."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self.count = 0

    def add(self, events: list[Recorded]) -> None:
        self.count += len(events)
        self._hash.update(
            "".join(f"{one.position} {one.stream_id} {one.version} {one.event.event_id}\n" for one in events).encode()
        )

    def hex(self) -> str:
        return self._hash.hexdigest()


def write(url: str, seed: str, events: int, ledger: Path) -> None:
    rng = random.Random(seed)
    store = PostgresEventStore(url, application_name="campaign")
    known: list[tuple[UUID, int]] = []
    with ledger.open("ab", buffering=0) as acknowledged, psycopg.connect(url) as slow:
        last_position = 0
        while last_position < events:
            units = some_units(rng, known)
            if rng.random() < SLOW_SHARE + ROLL_BACK_SHARE:
                hold_a_transaction(slow, units, commit=rng.random() < SLOW_SHARE / (SLOW_SHARE + ROLL_BACK_SHARE))
                continue
            with suppress(EventStoreError):  # a killed neighbour may take the server's time; the ledger tells the rest
                answers = store.append(units)
                kept = [
                    (unit, answer) for unit, answer in zip(units, answers, strict=True) if isinstance(answer, Appended)
                ]
                acknowledged.write("".join(_entry(unit, answer) for unit, answer in kept).encode())
                last_position = max([answer.last_position for _, answer in kept], default=last_position)
                known = [(unit.stream_id, unit.expected_version + len(unit.events)) for unit, _ in kept]
    store.close()


def some_units(rng: random.Random, known: list[tuple[UUID, int]]) -> list[Unit]:
    """New streams, continued ones, and stale continuations, which are conflicts."""
    units = []
    for stream, version in known:
        stale = rng.random() < STALE_SHARE
        if rng.random() < 0.5:
            units.append(Unit(stream, version - 1 if stale else version, (placed(),)))
    for _ in range(rng.randint(1, MOST_UNITS)):
        units.append(Unit(uuid4(), 0, tuple(placed() for _ in range(rng.randint(1, 3)))))
    rng.shuffle(units)
    return units[:MOST_UNITS]


def hold_a_transaction(connection: psycopg.Connection[tuple[object, ...]], units: list[Unit], *, commit: bool) -> None:
    rows = [
        (unit.stream_id, unit.expected_version + n, topic, state)
        for unit, encoded in ((unit, encode_unit(unit)) for unit in units)
        for n, (topic, state) in enumerate(zip(encoded.topics, encoded.states, strict=True), 1)
    ]
    connection.execute(APPEND, [list(column) for column in zip(*rows, strict=True)], binary=True)
    connection.execute("select pg_sleep(%s)", (SLOW_S,))
    if commit:
        connection.commit()
    else:
        connection.rollback()


def _entry(unit: Unit, answer: Appended) -> str:
    return "".join(f"{answer.position + n} {event.event_id}\n" for n, event in enumerate(unit.events))


def read(url: str, limit: int) -> None:
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store = PostgresEventStore(url, application_name="campaign")
    hints = PostgresHints(url)
    subscription = Subscription(store, after=0, hints=hints, limit=limit)
    digest = Digest()
    batches = 0
    while True:
        stopping = stop.is_set()
        batch = subscription.next_batch(0 if stopping else 0.1)
        digest.add(batch)
        batches += 1
        if stopping and not batch:
            break
    hints.close()
    store.close()
    print(json.dumps({"events": digest.count, "batches": batches, "digest": digest.hex()}), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["writer", url, seed, events, ledger]:
            write(url, seed, int(events), Path(ledger))
        case ["reader", url, limit]:
            read(url, int(limit))
        case _:
            sys.exit(__doc__)
