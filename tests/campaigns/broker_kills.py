"""Kills RabbitMQ again and again while orders flow, and checks that each was placed once, in its order.

    python -m tests.campaigns.broker_kills --orders 5000 --kills 5 --exchange place_order
    python -m tests.campaigns.broker_kills --orders 5000 --kills 5 --exchange simulated

The whole service, with a relay and a real RabbitMQ node of its own, which is killed with SIGKILL and started again.
With the plain place_order (0.5 s, one call in ten fails before anything is sent), every call that went through is a
line of a file, and each accepted order must have exactly one. With the simulated exchange, orders are replaced and
canceled too, and log and journal must agree order by order: placed once, requests in their order. After each return of
the broker every queue must have a consumer again within 30 s, by itself, and orders must come by message again.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import click
import psycopg
from msgspec import Struct

from load.balance import Balance, Findings, balance, counted
from load.order_flow import Mix, OrderFlow
from order_service.postgres import running_url
from orders.domain import events as e
from orders.shards import SHARDS
from simulated_exchange.journal import FILE_NAME
from tests.campaigns.adapter_kills import Deed, Progress, due
from tests.campaigns.agreement import agreement, histories, parts
from tests.campaigns.concluding import conclude, told_seed
from tests.campaigns.doubt import check_record
from tests.campaigns.faults import exchange_folder, head_of, is_settled, pages
from tests.support.logged_exchange import PLACED_FILE
from tests.support.own_rabbit import fresh_vhost, own_node
from tests.support.running_service import RunningService, running_service
from tests.support.waiting import wait_until
from tests.support.work_transport import hints_taken, queues_consumed

PLACE_ORDER, SIMULATED = "place_order", "simulated"
SETTINGS = {
    PLACE_ORDER: {"EXCHANGE": "tests.support.logged_exchange:place_order"},
    SIMULATED: {"EXCHANGE": "simulated", "EXCHANGE_FILL_DELAY": "0.1-0.5"},
}
MIX = {PLACE_ORDER: Mix(canceled=0.0, replaced=0.0), SIMULATED: Mix()}
PER_SECOND = 30.0  # so that the orders last longer than five kills and returns, 20 to 30 s each
DOWN_S = 3.0  # the broker's absence, beside what its start takes
RECOVERED_S = 30.0
SETTLE_S = 90.0


class Broker(Protocol):
    def kill(self) -> None: ...

    def start(self) -> None:
        """Returns when it takes connections."""
        ...


class Outcome(Struct):
    """`findings` is empty where all is well. `recovered_s`: after each return of the broker, until all queues had a
    consumer again; `by_message`: orders that messages had named by the end."""

    exchange: str
    kills: int
    seconds: float
    recovered_s: list[float]
    answers: Counter[str]
    attempts: Counter[str]
    by_message: int
    balance: Balance
    findings: Findings

    def __str__(self) -> str:
        rows = [
            f"{self.exchange}: {self.balance.accepted:,} orders accepted in {self.seconds:.0f} s, RabbitMQ killed"
            f" {self.kills} times",
            f"all queues consumed again after {', '.join(f'{one:.1f} s' for one in self.recovered_s)}",
            f"answers: {counted(self.answers)}",
            f"named by messages: {self.by_message:,}; attempts: {counted(self.attempts)}",
            str(self.balance),
            str(self.findings),
        ]
        return "\n".join(row for row in rows if row)


def run(
    exchange: str, orders: int, kills: int, seed: int, broker: Broker, amqp_url: str, per_second: float = PER_SECOND
) -> Outcome:
    """`amqp_url` names an empty virtual host of the broker."""
    with tempfile.TemporaryDirectory(prefix="orders-placed-") as folder:
        record = Path(folder) / "placed"
        settings = {**SETTINGS[exchange], "AMQP_URL": amqp_url, PLACED_FILE: str(record)}
        with running_service(**settings) as service:
            host, _, port = service.url.removeprefix("http://").partition(":")
            flow = OrderFlow(host, int(port), orders=orders, per_second=per_second, seed=seed, mix=MIX[exchange])
            url = running_url(service.folder / "data")
            assert url is not None
            _until_all_consumed(url)
            began_at = time.monotonic()
            flow.start()
            try:
                recovered = kill_again_and_again(broker, flow, url, kills)
            finally:
                flow.join()
            seconds = time.monotonic() - began_at
            outcome = Outcome(
                exchange, kills, seconds, recovered, flow.answers, Counter(), 0, balance((), ()), flow.findings
            )
            _settle(service, url, outcome)
            _check(service, flow, url, record, outcome)
            return outcome


def kill_again_and_again(broker: Broker, flow: OrderFlow, url: str, kills: int) -> list[float]:
    """Evenly over the orders; how long each recovery took. A kill waits for the recovery from the one before."""
    progress, recovered = Progress(flow, print), list[float]()
    for deed in due(flow, [Deed(int(flow.orders * (number + 0.5) / kills), "kill") for number in range(kills)]):
        if not flow.running:
            break
        broker.kill()
        progress.line(f"RabbitMQ killed ({len(recovered) + 1})")
        threading.Event().wait(DOWN_S)
        broker.start()
        back_at = time.monotonic()
        _until_all_consumed(url)
        recovered.append(time.monotonic() - back_at)
        progress.line(f"all queues have a consumer, {recovered[-1]:.1f} s after the return ({deed.accepted} accepted)")
    return recovered


def _until_all_consumed(url: str) -> None:
    """Raises AssertionError where that takes longer than it may."""
    wait_until(lambda: sum(queues_consumed(url)) == SHARDS, within_s=RECOVERED_S, what="consumers of all queues")


def _settle(service: RunningService, url: str, outcome: Outcome) -> None:
    try:
        wait_until(lambda: SETTLED[outcome.exchange](service, url), within_s=SETTLE_S, what="the orders to settle")
    except AssertionError as error:  # what is left is named by the checks
        outcome.findings.add("unsettled", str(error))


def _all_acked(service: RunningService, url: str) -> bool:
    threading.Event().wait(0.2)
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from adapter_duties").fetchone()
        position = connection.execute(
            "select position from follower_checkpoint where name = 'exchange_adapter_duties'"
        ).fetchone()
    return row == (0,) and position == (head_of(url),)


SETTLED: dict[str, Callable[[RunningService, str], bool]] = {PLACE_ORDER: _all_acked, SIMULATED: is_settled}


def _check(service: RunningService, flow: OrderFlow, url: str, record: Path, outcome: Outcome) -> None:
    outcome.by_message = hints_taken(url)
    if len(outcome.recovered_s) < outcome.kills:
        outcome.findings.add("too few kills", f"{len(outcome.recovered_s)}: the orders were over before the rest")
    if flow.repeated:
        outcome.findings.add("not answered", f"{flow.repeated} times a POST had to be sent again")
    outcome.balance = balance(flow.accepted, pages(service, f"/orders?min_position={head_of(url)}"))
    found = [outcome.balance.findings]
    if outcome.exchange == PLACE_ORDER:
        check_record(flow.accepted, Counter(record.read_text().split()), outcome.findings)
    else:
        agreed = agreement(url, exchange_folder(service) / FILE_NAME, orders=len(flow.accepted))
        found.append(agreed.findings)
    for findings in found:
        outcome.findings.counts.update(findings.counts)
        outcome.findings.examples += findings.examples
    (everything,) = parts(1)
    for order_id, events in histories(url, *everything):
        outcome.attempts[str(check_attempts(str(order_id), events, outcome.findings))] += 1


def check_attempts(order_id: str, events: Iterable[e.Event], findings: Findings) -> int:
    """How many attempts were made; each of them only when the one before had surely failed."""
    attempts, running = 0, False
    for event in events:
        match event:
            case e.SubmitStarted():
                attempts += 1
                if running:
                    findings.add(
                        "two attempts", f"{order_id}: attempt {attempts} began before the one before had failed"
                    )
                running = True
            case e.SubmitFailed():
                running = False
    return attempts


@click.command(help=__doc__)
@click.option("--exchange", type=click.Choice([PLACE_ORDER, SIMULATED]), default=PLACE_ORDER, show_default=True)
@click.option("--orders", default=5_000, show_default=True)
@click.option("--kills", default=5, show_default=True)
@click.option("--rate", default=PER_SECOND, show_default=True, help="Orders a second.")
@click.option("--seed", default=None, type=int, help="Of the orders.  [default: the clock's]")
def main(exchange: str, orders: int, kills: int, rate: float, seed: int | None) -> None:
    seed = told_seed(seed)
    with own_node() as node:
        conclude(run(exchange, orders, kills, seed, node, fresh_vhost(node), per_second=rate))


if __name__ == "__main__":
    main()
