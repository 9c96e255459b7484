"""What the hash chain costs: how fast it covers a log, what it takes from appends beside it, and what a check takes.

    .venv/bin/python -m load.chain_cost --events 200000

A log of whole order histories is written. The chain covers it from its start, then `orders verify`'s check of the log
reads it twice. Then rounds of appends, in turns without the chain and with it. Everything shares the cores.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from msgspec import Struct

from load.log_histories import fill_log
from load.results import Contest, Pair, arguments_of, finish, number_from
from load.servers import embedded_database, temporary_folder
from orders.eventstore.port import EncodedUnit
from orders.eventstore.postgres import PostgresEventStore
from orders.hash_chain import HashChain
from orders.log_check.check import check_log

ROUNDS = 7  # of each kind
APPENDS = 300  # a round
UNITS = 20  # an append: what a busy API commits at once
EVENT_BYTES = 700  # as large as they are on average
POLL_S = 0.005


class Plan(Struct, frozen=True, kw_only=True):
    events: int = 200_000


class Unwatched:
    def begin(self, doing: str, total: int) -> None: ...

    def at(self, done: int) -> None: ...


@contextmanager
def chained(store: PostgresEventStore, url: str) -> Iterator[HashChain]:
    stop, chain = threading.Event(), HashChain(store, url)
    thread = threading.Thread(target=chain.run, args=(stop,))
    thread.start()
    try:
        yield chain
    finally:
        stop.set()
        thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("chain_cost", __doc__)
    parser.add_argument("--events", type=number_from(int, 1_000, 20_000_000), default=Plan().events)
    given = parser.parse_args(arguments)
    plan = Plan(events=given.events)
    return finish(plan, lambda: measure(plan), given.folder, "chain-cost")


def measure(plan: Plan) -> list[Contest]:
    """Raises ServerFailed."""
    with temporary_folder() as folder, embedded_database(folder) as url:
        store = PostgresEventStore(url)
        orders = fill_log(store, plan.events)
        head = store.head()
        began = time.perf_counter()
        with chained(store, url) as chain:
            while chain.head is None or chain.head.position < head:
                time.sleep(POLL_S)
            took_s = time.perf_counter() - began
        chain_words = f"chain: {head / took_s:,.0f} events/s; {_bytes(url) / head:.1f} bytes an event, index included"
        began = time.perf_counter()
        checked = check_log(url, Unwatched())
        took_s = time.perf_counter() - began
        check_words = f"check of the log: {head / took_s:,.0f} events/s, {_peak_mb():.0f} MB at most"
        pairs = []
        for _ in range(ROUNDS):
            alone = _append(store)
            with chained(store, url):
                pairs.append(Pair(product=_append(store), against=alone))
        store.close()
    contest = Contest(
        name="chain",
        product="appends with the chain",
        against="without",
        unit="events/s",
        setting=f"{head:,} events of {orders:,} orders, then {ROUNDS} x 2 turns of {APPENDS} appends of {UNITS} units",
        pairs=pairs,
        notes=[chain_words, check_words],
        wrong=[f"the check of the log found {checked.number} faults"] if checked.number else [],
    )
    return [contest]


def _append(store: PostgresEventStore) -> float:
    """Events a second."""
    state = bytes(EVENT_BYTES)
    began = time.perf_counter()
    for _ in range(APPENDS):
        store.append_encoded(
            [EncodedUnit(uuid4(), 0, ("OrderPlaced.v1",), (state,), EVENT_BYTES) for _ in range(UNITS)]
        )
    return APPENDS * UNITS / (time.perf_counter() - began)


def _bytes(url: str) -> int:
    with psycopg.connect(url) as connection:
        ((size,),) = connection.execute("select pg_total_relation_size('hash_chain')").fetchall()
    return int(size)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
