"""`make bench-adapters`: how many orders a second 1, 2 and 4 adapter processes place, over both transports.

The exchange is the plain place_order that blocks for 0.5 s and fails one call in ten; each adapter has 50 calls in
flight at the most. Orders come on the log all the while, some seconds ahead of the adapters, so that none ever waits
for one. Counted is what the log says was placed, between two moments, once all calls run. At the end one adapter
is killed with SIGKILL, and it is measured when others own its shards and consume their queues.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from msgspec import Struct
from uuid_utils.compat import uuid7

from load.results import arguments_of, conclude, machine, number_from
from load.servers import ServerFailed, embedded_database, part, temporary_folder
from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.terms import Rules
from orders.domain.values import Capabilities
from orders.eventstore.port import Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.shards import SHARDS
from tests.support.own_rabbit import fresh_vhost, own_node

CALLS = 50  # in flight in each adapter
CALL_S = 0.5  # what a call of place_order takes
EXCHANGE = "examples.stock_exchange:place_order"
TRANSPORTS = ("log", "rabbitmq")
AHEAD_S = 3.0  # of the orders that can be placed: so many wait
SUPPLY_S = 0.1
READY_S = 180.0  # four processes start in 10 s, and in a minute beside much else
POLL_S = 0.02
UNIT_ORDERS = 200  # in one append
_OWNED = """
    select shards, coalesce((figures #>> '{messages,queues}')::int, 0) from adapter_workers where worker <> %s
"""
ROOT = Path(__file__).resolve().parents[1]


class Plan(Struct, frozen=True, kw_only=True):
    adapters: tuple[int, ...] = (1, 2, 4)
    rounds: int = 3
    seconds: float = 20.0
    calls: int = CALLS


class Run(Struct, frozen=True, kw_only=True):
    """`taken_over_s`: after a kill -9 of one adapter, until others owned its shards, and consumed all queues where
    there are any; None where it was the only one."""

    transport: str
    adapters: int
    orders_per_s: float
    taken_over_s: float | None


class Report(Struct, frozen=True, kw_only=True):
    at: datetime
    machine: dict[str, str]
    load: float  # average at the start: what else ran
    plan: Plan
    runs: list[Run]


def main(arguments: Sequence[str] | None = None) -> int:
    plan, folder = _read(arguments)
    return 1 if conclude(lambda: measure(plan), table, folder, "adapters") is None else 0


def _read(arguments: Sequence[str] | None) -> tuple[Plan, Path]:
    plan = Plan()
    parser = arguments_of("make bench-adapters", __doc__)
    parser.add_argument("--adapters", type=number_from(int, 1, 16), nargs="+", default=plan.adapters)
    parser.add_argument("--rounds", type=number_from(int, 1, 100), default=plan.rounds, help="of each in turns")
    parser.add_argument("--seconds", type=number_from(float, 1, 600), default=plan.seconds, help="of each count")
    parser.add_argument("--calls", type=number_from(int, 1, 500), default=plan.calls, help="in flight in each")
    given = parser.parse_args(arguments)
    adapters = tuple(given.adapters)
    return Plan(adapters=adapters, rounds=given.rounds, seconds=given.seconds, calls=given.calls), given.folder


def measure(plan: Plan) -> Report:
    """Raises ServerFailed."""
    load, runs = os.getloadavg()[0], list[Run]()
    with own_node() as node:
        for adapters, transport in list(product(plan.adapters, TRANSPORTS)) * plan.rounds:
            runs.append(_run(plan, transport, adapters, fresh_vhost(node) if transport == "rabbitmq" else ""))
            print(_line(runs[-1:]), file=sys.stderr)
    return Report(at=datetime.now(UTC), machine=machine(), load=load, plan=plan, runs=runs)


def _run(plan: Plan, transport: str, adapters: int, amqp_url: str) -> Run:
    with ExitStack() as running:
        folder = running.enter_context(temporary_folder())
        url = running.enter_context(embedded_database(folder))
        settings = {
            "DATABASE_URL": url,
            "AMQP_URL": amqp_url,
            "ORDERS_DATA_DIR": str(folder),
            "EXCHANGE": EXCHANGE,
            "VENUE_MAX_CALLS": str(plan.calls),
            "PYTHONPATH": str(ROOT),
        }
        if amqp_url:
            running.enter_context(part("relay", folder, settings))
        started = [running.enter_context(part("adapter", folder, settings, number)) for number in range(adapters)]
        with psycopg.connect(url, autocommit=True) as connection:
            _wait(lambda: _all_owned(connection, adapters, amqp_url), "owners of all shards")
            running.enter_context(supply(url, int(adapters * plan.calls / CALL_S * AHEAD_S)))
            _wait(lambda: _calls_running(connection) >= 0.8 * adapters * plan.calls, "all calls to run")
            placed, began = _placed(connection), time.monotonic()
            time.sleep(plan.seconds)
            per_second = (_placed(connection) - placed) / (time.monotonic() - began)
            taken_over_s = _take_over(connection, started[-1], amqp_url) if adapters > 1 else None
    return Run(transport=transport, adapters=adapters, orders_per_s=per_second, taken_over_s=taken_over_s)


@contextmanager
def supply(url: str, ahead: int) -> Iterator[None]:
    """Keeps so many orders on the log that are not placed yet."""
    stop = threading.Event()
    supplying = threading.Thread(target=_supply, args=(url, ahead, stop), daemon=True)
    supplying.start()
    try:
        yield
    finally:
        stop.set()
        supplying.join()


def _supply(url: str, ahead: int, stop: threading.Event) -> None:
    store, rules = PostgresEventStore(url, application_name="bench"), Rules(venue=Capabilities())
    count = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.wait(SUPPLY_S):
            missing = ahead - (count - _placed(connection))
            for begin in range(0, missing, UNIT_ORDERS):
                store.append([_new_order(rules) for _ in range(min(UNIT_ORDERS, missing - begin))])
            count += max(0, missing)
    store.close()


def _new_order(rules: Rules) -> Unit:
    """As the API writes it."""
    stamp: dict[str, Any] = {"command_id": uuid7(), "at": datetime.now(UTC), "by": "local"}
    terms = c.Terms(symbol="EURUSD", quantity=10)
    command = c.PlaceOrder(order_id=uuid7(), account="local", terms=terms, **stamp)
    return Unit(command.order_id, 0, tuple(decide(None, command, rules)))


def _take_over(connection: psycopg.Connection[Any], victim: subprocess.Popen[bytes], amqp_url: str) -> float:
    """Seconds from the kill until the others own every shard and, where there are queues, consume them all."""
    doomed = connection.execute("select worker from adapter_workers where worker like %s", (f"%/{victim.pid}/%",))
    (worker,) = doomed.fetchall()[0]
    victim.kill()
    began = time.monotonic()

    _wait(lambda: _all_owned(connection, 1, amqp_url, without=worker), "the shards to be taken over")
    return time.monotonic() - began


def _all_owned(connection: psycopg.Connection[Any], adapters: int, amqp_url: str, without: str = "") -> bool:
    """By so many at least, who consume all queues where there are any."""
    rows = connection.execute(_OWNED, (without,)).fetchall()
    owned = sum(len(shards) for shards, _ in rows) == SHARDS and len(rows) >= adapters
    return owned and (not amqp_url or sum(queues for _, queues in rows) == SHARDS)


def _calls_running(connection: psycopg.Connection[Any]) -> int:
    rows = connection.execute("select coalesce(sum((figures ->> 'calls_running')::int), 0) from adapter_workers")
    return int(rows.fetchall()[0][0])


def _placed(connection: psycopg.Connection[Any]) -> int:
    rows = connection.execute("select count(*) from order_events where topic like 'OrderAccepted%'")
    return int(rows.fetchall()[0][0])


def _wait(condition: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + READY_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise ServerFailed(f"waited {READY_S:g} s in vain for {what}")
        time.sleep(POLL_S)


def table(report: Report) -> str:
    plan = report.plan
    lines = [
        f"orders/s placed by place_order ({CALL_S:g} s a call, one in ten fails), {plan.calls} calls in flight in each"
        f" adapter, counted over {plan.seconds:g} s; rounds in turns: {plan.rounds}",
        f"{'adapters':10}{'transport':12}{'median':>10}{'lowest':>10}{'highest':>10}{'after kill -9 owned in':>26}",
    ]
    for adapters, transport in product(plan.adapters, TRANSPORTS):
        lines.append(_line([run for run in report.runs if (run.adapters, run.transport) == (adapters, transport)]))
    return "\n".join([*lines, f"load average at the start {report.load:.1f}; nothing is pinned"])


def _line(runs: list[Run]) -> str:
    rates = [run.orders_per_s for run in runs]
    taken = [run.taken_over_s for run in runs if run.taken_over_s is not None]
    took = f"{min(taken):.1f} to {max(taken):.1f} s" if taken else ""
    columns = "".join(f"{rate:>10.1f}" for rate in (median(rates), min(rates), max(rates)))
    return f"{runs[0].adapters:<10}{runs[0].transport:12}{columns}{took:>26}"


if __name__ == "__main__":
    raise SystemExit(main())
