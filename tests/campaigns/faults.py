"""Many orders through an exchange with every fault on, while the adapter is killed again and again.

    python -m tests.campaigns.faults --orders 100000 --kills 100 --seed 7

Orders of every kind are placed at a steady rate; some are canceled and replaced. Then the faults end, everything
settles, and three records must agree: what clients were told, the log, and the journal of the exchange. Each accepted
order once at the exchange, or ended as never placed and not there; each execution once in both, with the same quantity
and price; the same terms, changes and end.
"""

from __future__ import annotations

import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
import psycopg
from msgspec import Struct

from exchange_adapter.policy import Limits, not_found_counts_after_s
from exchange_adapter.simulated_venue import SimulatedVenue
from load.balance import Balance, Findings, balance, counted
from load.order_flow import OrderFlow
from order_service.postgres import running_url
from simulated_exchange.control_client import ask
from simulated_exchange.errors import ControlRefused, ControlUnreachable
from simulated_exchange.journal import FILE_NAME
from tests.campaigns.adapter_kills import KILL, Progress, deeds, due, kill_adapter
from tests.campaigns.agreement import Agreement, agreement
from tests.campaigns.concluding import conclude, told_seed
from tests.support.exchange_client import ExchangeClient
from tests.support.running_service import RunningService, running_service
from tests.support.waiting import wait_until

FAULTS: dict[str, Any] = {
    "error_rate": 0.08,
    "hang_rate": 0.003,
    "drop_rate": 0.001,
    "disconnect_rate": 0.0005,
    "latency_s": (0.01, 0.05),
    "duplicate_rate": 0.05,
    "reorder_rate": 0.05,
    "crash_every_s": (5.0, 25.0),
}
OUTAGE_S = 1.5
CALL_TIMEOUT_S = 2.0
SETTINGS = {"EXCHANGE_FILL_DELAY": "0.1-0.5", "VENUE_CALL_TIMEOUT_S": f"{CALL_TIMEOUT_S:g}"}
PER_SECOND = 200.0  # so that a burst of kills and the quiet after it take 25 s
SETTLE_FIRST_S, SETTLE_PER_S = 30.0, 500  # the wait for the end: seconds, and orders for each one more
DOUBT_S = not_found_counts_after_s(SimulatedVenue.capabilities, Limits(call_timeout_s=CALL_TIMEOUT_S)) or 0.0
"""A cancel that is held by a doubt ends the order only then, where the exchange never got it."""
SETTLE_POLL_S = 0.2
LEFT_SHOWN = 3
OPEN_PAGE = "/orders?status=Placed"


class Outcome(Struct):
    """`findings` is empty where all is well; `str()` is the report."""

    kills: int
    seconds: float
    balance: Balance
    agreement: Agreement
    answers: Counter[str]
    repeated: int
    exchange_starts: int
    findings: Findings

    def __str__(self) -> str:
        rows = [
            f"{self.balance.accepted:,} orders accepted and changed in {self.seconds:.0f} s ({self.repeated} posts"
            f" repeated); {self.kills} adapter kills; the exchange started {self.exchange_starts} times",
            f"answers: {counted(self.answers)}",
            str(self.balance),
            f"log and journal: {self.agreement.orders:,} orders, {self.agreement.executions:,} executions:"
            f" {counted(self.agreement.states)}",
            f"events: {counted(self.agreement.events)}",
            f"memory of this process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
            str(self.agreement.findings),
            str(self.findings),
        ]
        return "\n".join(row for row in rows if row)


class Faults:
    """The exchange's faults, through its control socket. The exchange's own process may be about to start."""

    def __init__(self, service: RunningService) -> None:
        self._folder = exchange_folder(service)

    def set(self, **faults: Any) -> dict[str, Any]:
        answer = wait_until(lambda: self._asked(faults), what="the control socket of the exchange")
        assert answer is not None
        return answer

    def _asked(self, faults: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return ask(self._folder, "faults", **faults)
        except (ControlUnreachable, ControlRefused):
            return None


def exchange_folder(service: RunningService) -> Path:
    return service.folder / "data" / "exchange"


def run(orders: int, kills: int, seed: int, per_second: float = PER_SECOND) -> Outcome:
    with running_service(**SETTINGS) as service:
        host, _, port = service.url.removeprefix("http://").partition(":")
        flow = OrderFlow(host, int(port), orders=orders, per_second=per_second, seed=seed)
        faults = Faults(service)
        faults.set(**FAULTS)
        began_at = time.monotonic()
        flow.start()
        try:
            done = break_things(service, flow, faults, orders, kills)
        finally:
            flow.join()
        seconds = time.monotonic() - began_at
        shown = faults.set(reset=True)
        print(f"{len(flow.accepted):,} accepted; the faults are off, and everything settles")
        outcome = Outcome(
            kills=done,
            seconds=seconds,
            balance=balance((), ()),
            agreement=Agreement(),
            answers=flow.answers,
            repeated=flow.repeated,
            exchange_starts=shown["starts"],
            findings=flow.findings,
        )
        _check(service, flow, outcome)
        return outcome


def break_things(service: RunningService, flow: OrderFlow, faults: Faults, orders: int, kills: int) -> int:
    """How many kills there were: none after the flow, which may end early where the adapter starts slowly."""
    progress = Progress(flow, print)
    done = 0
    for deed in due(flow, deeds(orders, kills)):
        if not flow.running:
            break
        if deed.what == KILL:
            kill_adapter(service)
            done += 1
            progress.line(f"adapter killed ({done} of {kills})")
        else:
            faults.set(outage_s=OUTAGE_S)
            progress.line(f"the exchange is away for {OUTAGE_S:g} s")
    return done


def _check(service: RunningService, flow: OrderFlow, outcome: Outcome) -> None:
    url = running_url(service.folder / "data")
    assert url is not None
    began_at = time.monotonic()
    try:
        within_s = SETTLE_FIRST_S + DOUBT_S + len(flow.accepted) / SETTLE_PER_S
        wait_until(lambda: is_settled(service, url), within_s=within_s, what="the orders to settle")
    except AssertionError as error:
        left = [*islice(unsettled(service), LEFT_SHOWN)]
        outcome.findings.add("unsettled", f"{error}; the first of them: {left}")
    print(f"settled after {time.monotonic() - began_at:.1f} s")
    outcome.balance = balance(flow.accepted, pages(service, f"/orders?min_position={head_of(url)}"))
    outcome.agreement = agreement(url, exchange_folder(service) / FILE_NAME, orders=len(flow.accepted))
    for findings in (outcome.balance.findings, outcome.agreement.findings):
        outcome.findings.counts.update(findings.counts)
    if outcome.agreement.orders != outcome.balance.accepted:
        told = f"{outcome.agreement.orders} orders are in the log, {outcome.balance.accepted} were accepted"
        outcome.findings.add("log", told)


def is_settled(service: RunningService, url: str) -> bool:
    """No order waits for anything, and the log has every report of the exchange."""
    threading.Event().wait(SETTLE_POLL_S)
    return next(unsettled(service), None) is None and _reports_read(service, url)


def unsettled(service: RunningService) -> Iterator[dict[str, Any]]:
    return (order for order in pages(service, OPEN_PAGE) if not _rests(order))


def _rests(order: dict[str, Any]) -> bool:
    """At the exchange without a request under way; or parked, which only a person ends."""
    if order["delivery"] == "parked":
        return True
    at_exchange = order["delivery"] == "acked" and not order["ord_status"].startswith("Pending")
    return at_exchange and order["type"] == "limit" and order["time_in_force"] in ("gtc", "day")


def _reports_read(service: RunningService, url: str) -> bool:
    try:
        with ExchangeClient(str(service.folder / "data" / "exchange.sock")) as client:
            client.send(op="health")
            last = client.receive()["last_seq"]
    except (OSError, EOFError):
        return False
    with psycopg.connect(url) as connection:
        row = connection.execute("select max(seq) from public.adapter_report_positions").fetchone()
    return row is not None and row[0] == last


def head_of(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select max(notification_id) from public.order_events").fetchone()
    assert row is not None
    return int(row[0])


def pages(service: RunningService, path: str) -> Iterator[dict[str, Any]]:
    """Orders as the API lists them, a page in memory at a time."""
    following: str | None = path
    while following is not None:
        page = service.http.get(following)
        assert page.status_code == 200, page.text
        yield from page.json()
        following = page.links["next"]["url"] if "next" in page.links else None


@click.command(help=__doc__)
@click.option("--orders", default=100_000, show_default=True)
@click.option("--kills", default=100, show_default=True)
@click.option("--rate", default=PER_SECOND, show_default=True, help="Orders a second.")
@click.option("--seed", default=None, type=int, help="Of the orders.  [default: the clock's]")
def main(orders: int, kills: int, rate: float, seed: int | None) -> None:
    seed = told_seed(seed)
    outcome = run(orders, kills, seed, rate)
    conclude(outcome)


if __name__ == "__main__":
    main()
