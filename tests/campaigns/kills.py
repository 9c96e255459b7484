"""Kills processes at random under load, and checks that nothing accepted was lost, doubled or lied about.

    python -m tests.campaigns.kills --kills 30 --seed 7

Clients place orders through the Python client, each with a key of its own, which repeats with the same key until it is
answered. Then every 201 must be found, every order be final, rest at the exchange or be shown as in doubt, and the
exchange's journal agree: each order placed there once, each fill counted once.
"""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import click
import psutil
from msgspec import Struct

from load.balance import Balance, Findings, balance, counted
from order_client import OrderClient, OrderClientError
from order_client.options import Terms
from simulated_exchange.audit import Audit, audit
from simulated_exchange.journal import FILE_NAME, read_journal
from tests.campaigns.concluding import conclude, told_seed
from tests.support.running_service import RunningService, running_service
from tests.support.waiting import wait_until

CLIENTS = 4
PAUSE_S = 0.02  # between a client's orders: 200 orders/s at most, so that a kill always meets work
SETTLE_S = 90.0
ANSWERED_S = 120.0  # a call with its repeats: far more than everything takes to start again
FINAL = ("Executed", "Canceled", "Rejected", "Expired")
ALL = "everything"
VICTIMS = ("api", "projector", "adapter", "exchange", "postgres", "supervisor", ALL)


class Outcome(Struct):
    """What became of the accepted orders; `findings` is empty where all is well."""

    balance: Balance
    repeated: int
    kills: Counter[str]
    findings: Findings

    def __str__(self) -> str:
        return (
            f"kills: {counted(self.kills)}\n{self.repeated} answers lost and asked for again\n{self.balance}\n"
            f"{self.findings}"
        ).rstrip()


class Load:
    """Clients that place orders until they are told to stop."""

    def __init__(self, url: str, seed: int) -> None:
        self.accepted: dict[str, Terms] = {}
        self.wrong: list[str] = []
        self.repeated = 0
        self._url, self._seed = url, seed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        dice = random.Random(f"{self._seed}-{number}")
        with OrderClient(self._url, timeout_s=ANSWERED_S, on_repeat=self._count) as client:
            while not self._stop.wait(PAUSE_S):
                terms = _terms(dice)
                try:
                    self.accepted[str(client.place(**terms).order_id)] = terms
                except OrderClientError as error:
                    self.wrong.append(f"{terms} was answered: {error!r}")

    def _count(self, error: OrderClientError) -> None:
        self.repeated += 1


def _terms(dice: random.Random) -> Terms:
    terms = Terms(symbol="EURUSD", quantity=dice.randint(1, 100))
    terms["side"] = dice.choice(["buy", "sell"])
    if dice.random() < 0.3:
        terms["limit_price"] = dice.choice(["1.10000", "1.10001", "1.10002"])
        terms["time_in_force"] = dice.choice(["gtc", "gtc", "ioc"])
    return terms


def kill(service: RunningService, victim: str) -> None:
    """SIGKILL to one process, or to all at once; a killed supervisor is started again."""
    processes = service.processes()
    if victim == ALL:
        doomed = processes
    elif victim == "supervisor":
        doomed = processes[:1]
    elif victim == "postgres":
        doomed = [one for one in processes if one.name() == "postgres"][:1]
    else:
        doomed = [one for one in processes if one.cmdline()[-1:] == [victim]]
    for process in doomed:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    if processes[0] in doomed:
        assert service.process is not None
        service.process.wait()
        service.start(wait=False)


def run(kills: int, seed: int) -> Outcome:
    dice = random.Random(seed)
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    dice.shuffle(victims)
    with running_service(EXCHANGE_FILL_DELAY="0.1-0.5", VENUE_CALL_TIMEOUT_S="2") as service:
        load = Load(service.url, seed)
        load.start()
        try:
            for victim in victims:
                threading.Event().wait(dice.uniform(0.3, 1.5))
                kill(service, victim)
                service.wait_ready()
        finally:
            load.stop()
        _settle(service)
        return _outcome(service, load, Counter(victims))


def _settle(service: RunningService) -> None:
    """Waits until nothing is queued or being sent, and no market order is open."""

    def unsettled() -> list[dict[str, Any]]:
        return [order for order in service.all_orders() if not _settled(order)]

    with suppress(AssertionError):  # what is left is found by the check, and named
        wait_until(lambda: not unsettled(), within_s=SETTLE_S, what="the orders to settle")


def _settled(order: dict[str, Any]) -> bool:
    if order["status"] in FINAL or order["delivery"] == "in_doubt":
        return True
    return bool(order["delivery"] == "acked" and order["type"] == "limit" and order["time_in_force"] == "gtc")


def _outcome(service: RunningService, load: Load, kills: Counter[str]) -> Outcome:
    shown = service.all_orders()
    outcome = Outcome(balance(load.accepted, shown), load.repeated, kills, Findings())
    outcome.findings.counts.update(outcome.balance.findings.counts)
    found = audit(read_journal(service.folder / "data" / "exchange" / FILE_NAME))
    for name, texts in (("answer", load.wrong), ("journal", found.findings)):
        for text in texts:
            outcome.findings.add(name, text)
    for order in shown:
        if (disagreement := _disagreement(order, found)) is not None:
            outcome.findings.add("disagreement", disagreement)
    for order_id in found.orders.keys() - {order["order_id"] for order in shown}:
        outcome.findings.add("journal", f"{order_id} is at the exchange and nobody placed it")
    return outcome


def _disagreement(order: dict[str, Any], found: Audit) -> str | None:
    placed = found.orders.get(order["order_id"])
    if not _settled(order):
        return f"{order['order_id']} has not settled: {order}"
    if placed is None:
        return f"{order['order_id']} is acked and not at the exchange" if order["delivery"] == "acked" else None
    if order["delivery"] != "in_doubt" and placed.filled != order["filled_quantity"]:
        return f"{order['order_id']} has {order['filled_quantity']} filled, at the exchange {placed.filled}"
    return None


@click.command(help=__doc__)
@click.option("--kills", default=30, show_default=True)
@click.option("--seed", default=None, type=int, help="Of the load and of who is killed when.  [default: the clock's]")
def main(kills: int, seed: int | None) -> None:
    seed = told_seed(seed)
    outcome = run(kills, seed)
    conclude(outcome)


if __name__ == "__main__":
    main()
