"""Write, then read, ten thousand times, by several clients over two API processes: never an older state.

    python -m tests.campaigns.alternations --alternations 10000 --seed 7

A client places, replaces or cancels an order at one API process and reads it at once, alone or in a list: at any
process with the position of its write as `min_position`, or at the same one without. What it reads must be as it left
it, and hold at least that position. A read that is refused is a finding, too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from contextlib import ExitStack
from typing import Any

import click
import msgspec
from msgspec import Struct

from load.balance import Findings, counted
from load.http_client import Answer, Connection, request
from load.servers import HOST, embedded_database, order_api, temporary_folder
from tests.campaigns.concluding import conclude, told_seed
from tests.campaigns.order_writer import codes
from tests.support.projector_process import running_projector

API_PROCESSES = 2
CLIENTS = 8
KEPT_ORDERS = 10  # a client goes on with its latest, so that each is on the first page of its list
PAGE = 50
OLD = ("version", "status", "quantity", "position")
NEVER_THERE_S = 30.0  # of one alternation: the service has 5 s for a read


class Outcome(Struct):
    """`findings` is empty where every read had the write before it."""

    writes: Counter[str] = msgspec.field(default_factory=Counter)
    reads: Counter[str] = msgspec.field(default_factory=Counter)
    seconds: float = 0.0
    read_ms: list[float] = []
    findings: Findings = msgspec.field(default_factory=Findings)

    def __str__(self) -> str:
        ordered = sorted(self.read_ms) or [0.0]
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99, 1)]
        return (
            f"{self.writes.total():,} writes ({counted(self.writes)}), each read at once ({counted(self.reads)}) in"
            f" {self.seconds:.0f} s; a read took {at[0]:.1f} ms in the middle, p99 {at[1]:.1f}, at most {at[2]:.1f}\n"
            f"{self.findings}"
        ).rstrip()


class Alternating:
    """One client. Nobody else writes its orders, so that each is as it left it."""

    def __init__(self, links: list[Connection], instrument: str, rng: random.Random, outcome: Outcome) -> None:
        self._links = links
        self._instrument = instrument
        self._rng = rng
        self._outcome = outcome
        self._orders: deque[dict[str, Any]] = deque(maxlen=KEPT_ORDERS)
        self._count = 0

    async def alternate(self) -> None:
        writer = self._rng.randrange(len(self._links))
        left = await self._write(self._links[writer])
        if self._rng.random() < 0.5:
            await self._read(left, self._rng.choice(self._links), f"&min_position={left['position']}")
        else:
            await self._read(left, self._links[writer], "")

    async def _write(self, link: Connection) -> dict[str, Any]:
        open_orders = [order for order in self._orders if order["status"] == "Placed"]
        kind = self._rng.choices(("place", "replace", "cancel"), (5, 3, 2))[0] if open_orders else "place"
        self._count += 1
        if kind == "place":
            terms = {"instrument": self._instrument, "quantity": self._rng.randint(1, 100)}
            body = terms | {"client_order_id": f"{self._instrument}-{self._count}"}
            left = await self._told(link, "POST", "/orders", body)
            self._orders.append(left)
        else:
            order = self._rng.choice(open_orders)
            path = f"/orders/{order['id']}"
            if kind == "replace":
                left = await self._told(link, "PUT", path, {"quantity": order["quantity"] + 1})
            else:
                left = await self._told(link, "DELETE", path)
            order.update(left)
        self._outcome.writes[kind] += 1
        return left

    async def _told(self, link: Connection, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await link.ask(request(method, HOST, path, b"" if body is None else msgspec.json.encode(body)))
        assert answer.status in (200, 201), f"{method} {path} was answered {answer.status}: {answer.body!r}"
        order: dict[str, Any] = msgspec.json.decode(answer.body)
        return order

    async def _read(self, left: dict[str, Any], link: Connection, freshness: str) -> None:
        kind = self._rng.choice(("order", "list", "list by key"))
        path = {
            "order": f"/orders/{left['id']}?{freshness[1:]}",
            "list": f"/orders?symbol={self._instrument}&limit={PAGE}{freshness}",
            "list by key": f"/orders?client_order_id={left['client_order_id']}{freshness}",
        }[kind]
        asked_at = time.perf_counter()
        answer = await link.ask(request("GET", HOST, path))
        self._outcome.read_ms.append((time.perf_counter() - asked_at) * 1_000)
        self._outcome.reads[kind] += 1
        judge(left, path, answer, self._outcome.findings)


def judge(left: dict[str, Any], path: str, answer: Answer, findings: Findings) -> None:
    """Adds how an answer differs from the order as its client left it."""
    if answer.status != 200:
        findings.add("refused", f"{path} was answered {answer.status}: {answer.body!r}")
        return
    told = msgspec.json.decode(answer.body)
    orders = told if isinstance(told, list) else [told]
    read = next((order for order in orders if order["id"] == left["id"]), None)
    if read is None:
        findings.add("missing", f"{path} lacks {left['id']} of position {left['position']}")
    elif any(read[name] != left[name] for name in OLD):
        old = {name: (left[name], read[name]) for name in OLD if read[name] != left[name]}
        findings.add("older", f"{path} has {left['id']} with (left as, read as) {old}")
    if position_of(answer) < left["position"]:
        findings.add("behind", f"{path} says position {position_of(answer)}, the write {left['position']}")


def position_of(answer: Answer) -> int:
    """Of the header Orders-Position; -1 without one."""
    for line in answer.head.lower().split(b"\r\n"):
        if line.startswith(b"orders-position:"):
            return int(line.partition(b":")[2])
    return -1


def run(url: str, *, alternations: int, seed: int) -> Outcome:
    """Over a migrated database with an empty log."""
    with temporary_folder() as folder, ExitStack() as stack:
        stack.enter_context(running_projector(url, folder / "projector.log"))
        folders = [folder / str(number) for number in range(API_PROCESSES)]
        for each in folders:
            each.mkdir()
        ports = [stack.enter_context(order_api(each, url)).port for each in folders]
        return asyncio.run(_alternate(ports, alternations, random.Random(seed)))


async def _alternate(ports: list[int], alternations: int, rng: random.Random) -> Outcome:
    outcome = Outcome()
    began_at = time.monotonic()

    async def client(instrument: str, share: int, own: random.Random) -> None:
        links = [await Connection.open(HOST, port) for port in ports]
        alternating = Alternating(links, instrument, own, outcome)
        try:
            for _ in range(share):
                async with asyncio.timeout(NEVER_THERE_S):
                    await alternating.alternate()
        finally:
            for link in links:
                link.close()

    shares = [alternations // CLIENTS + (number < alternations % CLIENTS) for number in range(CLIENTS)]
    clients = zip(codes(CLIENTS), shares, strict=True)
    async with asyncio.TaskGroup() as group:
        for instrument, share in clients:
            group.create_task(client(instrument, share, random.Random(rng.random())))
    outcome.seconds = time.monotonic() - began_at
    return outcome


@click.command(help=__doc__)
@click.option("--alternations", default=10_000, show_default=True)
@click.option("--seed", default=None, type=int, help="Of what is written and read.  [default: the clock's]")
def main(alternations: int, seed: int | None) -> None:
    seed = told_seed(seed)
    with temporary_folder() as folder, embedded_database(folder) as url:
        outcome = run(url, alternations=alternations, seed=seed)
    conclude(outcome)


if __name__ == "__main__":
    main()
