"""A plain place_order, and an adapter that is killed again and again: doubt is held, and a person settles it.

    python -m tests.campaigns.doubt --kills 30 --seed 7

Such an exchange can neither recognize a repeat nor be asked, so every call that a kill meets leaves its order in doubt.
The exchange writes down what it placed (slow_answer.py); an operator reads that, and settles what is listed. No order
may be placed twice, each must be listed with the attempt that is in doubt, and in the end each accepted order must have
been placed exactly once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from load.balance import Balance, Findings, balance, counted
from load.order_flow import Mix, OrderFlow
from order_service.postgres import running_url
from orders.domain import events as e
from tests.campaigns.adapter_kills import KILL, STALL_S, Deed, Progress, deeds, due, kill_adapter
from tests.campaigns.agreement import histories, parts
from tests.campaigns.concluding import conclude, told_seed
from tests.campaigns.faults import head_of, pages
from tests.support.logged_exchange import PLACED_FILE
from tests.support.running_service import RunningService, running_service
from tests.support.waiting import wait_until

PER_SECOND = 60.0
ORDERS_A_KILL = 360  # a burst of kills and the quiet after it take 30 s
MIX = Mix(canceled=0.0, replaced=0.0)
SETTINGS = {"EXCHANGE": "tests.campaigns.slow_answer:place_order", "VENUE_CALL_TIMEOUT_S": "2"}
SETTLE_S = 240.0  # kills leave thousands in doubt, and all are called for again
SETTLE_POLL_S = 0.2
MAX_ORDERS_A_REQUEST = 500
REASON = "the exchange's own record"


class Outcome(Struct):
    """`findings` is empty where all is well. `rounds` is how often the operator had to look."""

    kills: int
    seconds: float
    balance: Balance
    in_doubt: int
    attempts: Counter[str]
    found_placed: int
    rounds: int
    findings: Findings

    def __str__(self) -> str:
        rows = [
            f"{self.balance.accepted:,} orders accepted in {self.seconds:.0f} s, {self.kills} adapter kills",
            f"in doubt after the kills: {self.in_doubt}, of them placed in truth: {self.found_placed}",
            f"attempts in doubt: {counted(self.attempts)}; settled in {self.rounds} rounds",
            str(self.balance),
            str(self.findings),
        ]
        return "\n".join(row for row in rows if row)


def run(kills: int, seed: int, orders: int | None = None, per_second: float = PER_SECOND) -> Outcome:
    orders = kills * ORDERS_A_KILL if orders is None else orders
    with tempfile.TemporaryDirectory(prefix="orders-placed-") as folder:
        record = Path(folder) / "placed"
        with running_service(**SETTINGS, **{PLACED_FILE: str(record)}) as service:
            host, _, port = service.url.removeprefix("http://").partition(":")
            flow = OrderFlow(host, int(port), orders=orders, per_second=per_second, seed=seed, mix=MIX)
            began_at = time.monotonic()
            flow.start()
            try:
                done = _kill_again_and_again(service, flow, record, deeds(orders, kills))
            finally:
                flow.join()
            seconds = time.monotonic() - began_at
            outcome = Outcome(done, seconds, balance((), ()), 0, Counter(), 0, 0, flow.findings)
            _settle(service, record, outcome)
            _check(service, flow.accepted, record, outcome)
            return outcome


def _kill_again_and_again(service: RunningService, flow: OrderFlow, record: Path, planned: list[Deed]) -> int:
    """Each kill as soon as it is due and orders are being placed, so that it meets running calls; how many there were.
    On a machine where the adapter starts slowly, the orders may be over before the kills."""
    progress = Progress(flow, print)
    done = 0
    for deed in due(flow, planned):
        if deed.what != KILL:
            continue
        if not _placing(flow, record):
            break
        kill_adapter(service)
        done += 1
        progress.line(f"adapter killed ({done})")
    return done


def _placing(flow: OrderFlow, record: Path) -> bool:
    """As soon as one more order is placed; False where none will be."""
    before = _size(record)
    wait_until(lambda: _size(record) > before or not flow.running, within_s=STALL_S, what="an order to be placed")
    with suppress(AssertionError):
        wait_until(lambda: _size(record) > before)
        return True
    return False


def _size(record: Path) -> int:
    return record.stat().st_size if record.exists() else 0


def _settle(service: RunningService, record: Path, outcome: Outcome) -> None:
    """What an operator does: lists what is in doubt, reads the exchange's record, and says of each what it says."""
    _wait_until_all_is_called(service)
    url = running_url(service.folder / "data")
    assert url is not None
    listed = _listed(service, unknown := attempts_in_doubt(url))
    compare_list(unknown, listed, outcome.findings)
    outcome.in_doubt = len(listed)
    outcome.attempts = Counter(f"of number {one['attempts_in_doubt']}" for one in listed)
    outcome.found_placed = len(placed_ids(record) & {one["order_id"] for one in listed})
    give_up_at = time.monotonic() + SETTLE_S
    while listed and time.monotonic() < give_up_at:
        outcome.rounds += 1
        placed = placed_ids(record)
        resolve(service, [one["order_id"] for one in listed if one["order_id"] in placed], "placed")
        resolve(service, [one["order_id"] for one in listed if one["order_id"] not in placed], "not_placed")
        _wait_until_all_is_called(service)
        listed = held(service)


def _listed(service: RunningService, unknown: dict[str, list[int]]) -> list[dict[str, Any]]:
    """The list of what is held follows the log: as soon as it is as long as it should be, or as it is after a while."""
    with suppress(AssertionError):  # what is missing is named by the comparison
        wait_until(lambda: len(held(service)) == len(unknown), what="the list of what is held")
    return held(service)


def _wait_until_all_is_called(service: RunningService) -> None:
    """Nothing is queued or being sent any more."""

    def all_called() -> bool:
        threading.Event().wait(SETTLE_POLL_S)
        return not any(order["delivery"] in ("queued", "sending") for order in pages(service, "/orders"))

    wait_until(all_called, within_s=SETTLE_S, what="every order to be called for")


def held(service: RunningService) -> list[dict[str, Any]]:
    """The orders in doubt, as operators are shown them."""
    return list(pages(service, "/ops/parked?delivery=in_doubt&limit=1000"))


def resolve(service: RunningService, order_ids: list[str], outcome: str) -> None:
    """What is refused for now (a "not placed" counts only after a while) is asked for again in the next round."""
    for start in range(0, len(order_ids), MAX_ORDERS_A_REQUEST):
        body = {"order_ids": order_ids[start : start + MAX_ORDERS_A_REQUEST], "outcome": outcome, "reason": REASON}
        answer = service.http.post("/ops/parked/resolve", json=body)
        assert answer.status_code == 200, answer.text


def attempts_in_doubt(url: str) -> dict[str, list[int]]:
    """What the log says of each order in doubt: the attempts that were started, and of which nothing is known."""
    everything = next(iter(parts(1)))
    unknown = {str(order_id): unknown_attempts(events) for order_id, events in histories(url, *everything)}
    return {order_id: attempts for order_id, attempts in unknown.items() if attempts}


def unknown_attempts(events: Iterable[e.Event]) -> list[int]:
    """The numbers of the attempts that were started and never settled."""
    unknown: set[int] = set()
    for event in events:
        match event:
            case e.SubmitStarted(attempt=attempt):
                unknown.add(attempt)
            case e.SubmitFailed(attempts=attempts):
                unknown.difference_update(attempts)
            case e.OrderAccepted() | e.OperatorResolved():
                unknown.clear()
    return sorted(unknown)


def compare_list(unknown: dict[str, list[int]], listed: Iterable[dict[str, Any]], findings: Findings) -> None:
    """Each order in doubt is listed once, with the attempts of which nothing is known."""
    shown = {one["order_id"]: one["attempts_in_doubt"] for one in listed}
    for order_id, attempts in unknown.items():
        if order_id not in shown:
            findings.add("not listed", f"{order_id} has attempts {attempts} in doubt")
        elif shown[order_id] != attempts:
            findings.add("wrong attempt", f"{order_id} has attempts {attempts} in doubt, listed are {shown[order_id]}")
    for order_id in shown.keys() - unknown.keys():
        findings.add("listed wrongly", f"{order_id} is not in doubt")


def placed_ids(record: Path) -> set[str]:
    return set(record.read_text().split())


def check_record(accepted: Iterable[str], placed: Counter[str], findings: Findings) -> None:
    """Every accepted order was placed exactly once, and nothing else was."""
    awaited = set(accepted)
    for order_id in awaited - placed.keys():
        findings.add("not placed", f"{order_id} was accepted and never placed")
    for order_id, times in placed.items():
        if times > 1:
            findings.add("placed twice", f"{order_id} was placed {times} times")
        if order_id not in awaited:
            findings.add("unknown", f"{order_id} was placed, and nobody was told that it was accepted")


def _check(service: RunningService, accepted: set[str], record: Path, outcome: Outcome) -> None:
    url = running_url(service.folder / "data")
    assert url is not None
    check_record(accepted, Counter(record.read_text().split()), outcome.findings)
    outcome.balance = balance(accepted, pages(service, f"/orders?min_position={head_of(url)}"))
    outcome.findings.counts.update(outcome.balance.findings.counts)
    if outcome.balance.states["working"] != len(accepted):
        outcome.findings.add("unsettled", f"not all orders are at the exchange: {counted(outcome.balance.states)}")


@click.command(help=__doc__)
@click.option("--kills", default=30, show_default=True)
@click.option("--rate", default=PER_SECOND, show_default=True, help="Orders a second.")
@click.option("--seed", default=None, type=int, help="Of the orders.  [default: the clock's]")
def main(kills: int, rate: float, seed: int | None) -> None:
    seed = told_seed(seed)
    outcome = run(kills, seed, per_second=rate)
    conclude(outcome)


if __name__ == "__main__":
    main()
