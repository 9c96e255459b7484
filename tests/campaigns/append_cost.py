"""What an append costs, by batch size, under a snapshot that someone holds, and what a read of the log costs.

`python -m tests.campaigns.append_cost [--held 10000]` prints medians of this machine, on a durable PostgreSQL of its
own. docs/decisions cites them.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import psycopg
from eventsourcing.persistence import Notification

from order_service.migrations import migrate
from order_service.postgres import EmbeddedPostgres
from orders.eventstore.codec import decode, encode_unit
from orders.eventstore.port import Recorded
from orders.eventstore.postgres import PostgresEventStore
from tests.support.log_events import unit
from tests.support.postgres import passable_folder

BATCHES = ((1, 300), (30, 200), (100, 100), (500, 40), (1_000, 20))  # events a call, calls
READ_EVENTS = 2_000


def median_ms(call: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began_at = time.perf_counter()
        call()
        took.append(time.perf_counter() - began_at)
    return statistics.median(took) * 1_000


def measure_batches(store: PostgresEventStore) -> None:
    for events, calls in BATCHES:
        units = iter([[encode_unit(unit()) for _ in range(events)] for _ in range(calls)])
        cpu_began = time.thread_time()
        took_ms = median_ms(lambda units=units: store.append_encoded(next(units)), calls)  # type: ignore[misc]
        cpu_us = (time.thread_time() - cpu_began) / calls / events * 1e6
        print(f"append of {events:5} events: {took_ms:7.2f} ms, {took_ms * 1_000 / events:7.1f} us an event,"
              f" of them {cpu_us:.1f} us CPU here")  # fmt: skip
    one_by_one = [unit() for _ in range(5_000)]
    began_at = time.perf_counter()
    for one in one_by_one:
        encode_unit(one)
    print(f"encoding a unit of one event: {(time.perf_counter() - began_at) / 5_000 * 1e6:.1f} us")


def measure_held_snapshot(store: PostgresEventStore, url: str, appends: int) -> None:
    def append() -> None:
        store.append([unit()])

    before = median_ms(append, 300)
    with psycopg.connect(url) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("select count(*) from order_events")
        first = median_ms(append, 300)
        for _ in range(appends):
            append()
        last = median_ms(append, 300)
    print(f"append of one event: {before:.2f} ms; under a held snapshot {first:.2f} ms, and {last:.2f} ms"
          f" {appends} appends later")  # fmt: skip


def measure_reads(store: PostgresEventStore) -> None:
    def package() -> list[Recorded]:
        found: list[Notification] = list(store.recorder.select_notifications(1, READ_EVENTS))
        return [Recorded(n.id, n.originator_id, n.originator_version, decode(n.topic, n.state)) for n in found]  # type: ignore[arg-type]

    assert store.read_log(after=0, limit=READ_EVENTS) == package()
    ours = median_ms(lambda: store.read_log(after=0, limit=READ_EVENTS), 20) * 1_000 / READ_EVENTS
    theirs = median_ms(package, 20) * 1_000 / READ_EVENTS
    print(f"read of {READ_EVENTS} events, decoded: {ours:.1f} us an event; by the package's own read {theirs:.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", type=int, default=10_000, help="appends under the held snapshot")
    options = parser.parse_args()
    with passable_folder() as folder, EmbeddedPostgres(folder) as server:
        migrate(server.url)
        store = PostgresEventStore(server.url)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        measure_batches(store)
        measure_reads(store)
        measure_held_snapshot(store, server.url, options.held)
        store.close()


if __name__ == "__main__":
    main()
