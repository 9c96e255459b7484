"""A flow of orders of many kinds at a steady rate, some of them canceled and replaced meanwhile.

Every order has a key of its own, and is sent again under it until it is answered: what a careful client does. Changes
are asked for once. The same seed asks for the same orders; which of them meets what is the machine's timing.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from msgspec import Struct

from load.balance import Findings
from load.http_client import ANSWER_TIMEOUT_S, Answer, BrokenAnswer, Connection, request

RETRY_S = 0.05
CHANGE_LINKS = 128  # a change waits up to 2 s for the exchange: some 60 a second fit while it is away
LOOKS_S = (0.5, 1, 2, 4, *[8] * 6)  # pauses between looks at an order that is to be changed when the exchange has it
MAX_CHANGES = 2_000  # that wait for their time or for a connection; past it placing waits, too
EXPECTED = {
    "GET": {200},
    "POST": {200, 201},
    "PUT": {200, 202, 400, 409, 422},  # too late, another change is pending, less than is filled
    "DELETE": {200, 202, 400, 409},
}

Terms = dict[str, Any]


class Mix(Struct, frozen=True, kw_only=True):
    """Shares of the orders. Limit prices overlap, so that some cross at once and others rest until a market order, or a
    limit order of the other side, takes some of them."""

    limits: float = 0.7
    canceled: float = 0.08
    replaced: float = 0.08
    symbols: tuple[str, ...] = ("EURUSD", "USDEUR", "CADUSD", "USDCAD")
    bids: tuple[str, ...] = ("1.09998", "1.09999", "1.10000", "1.10001")
    offers: tuple[str, ...] = ("1.10000", "1.10001", "1.10002", "1.10003")
    limit_times: tuple[str, ...] = ("gtc", "gtc", "gtc", "day", "ioc", "fok")
    market_times: tuple[str, ...] = ("gtc", "gtc", "gtc", "day", "ioc", "fok")


class Change(Struct, frozen=True):
    method: str
    body: bytes = b""


class OrderFlow:
    """`start`, then `join`: by then `orders` orders are accepted. Counts may be read meanwhile from any thread."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        orders: int,
        per_second: float,
        seed: int,
        clients: int = 32,
        mix: Mix | None = None,
    ) -> None:
        self.orders = orders
        self.accepted: set[str] = set()
        self.answers: Counter[str] = Counter()  # by method and status
        self.repeated = 0
        self.findings = Findings()
        self._host, self._port = host, port
        self._rate, self._seed, self._clients = per_second, seed, clients
        self._mix = Mix() if mix is None else mix
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="order flow")

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    async def _run(self) -> None:
        self._began_at = time.monotonic()
        self._room = asyncio.Semaphore(MAX_CHANGES)
        self._links: asyncio.Queue[Link] = asyncio.Queue()
        for _ in range(CHANGE_LINKS):
            self._links.put_nowait(Link(self._host, self._port))
        numbers = iter(range(self.orders))
        async with asyncio.TaskGroup() as self._tasks:
            for _ in range(self._clients):
                self._tasks.create_task(self._place_all(numbers))
        while not self._links.empty():
            self._links.get_nowait().close()

    async def _place_all(self, numbers: Iterator[int]) -> None:
        link = Link(self._host, self._port)
        for number in numbers:
            await asyncio.sleep(self._began_at + number / self._rate - time.monotonic())
            dice = random.Random(f"{self._seed}-{number}")
            terms = terms_of(self._mix, dice, f"{self._seed}-{number}")
            order_id = await self._place(link, terms)
            if order_id is not None and (changes := changes_of(self._mix, dice, terms)):
                await self._room.acquire()
                self._tasks.create_task(self._change(order_id, changes, at_exchange=dice.random() < 0.5))
        link.close()

    async def _place(self, link: Link, terms: Terms) -> str | None:
        """Repeats until it is answered: the key makes that safe."""
        message = request("POST", f"{self._host}:{self._port}", "/orders", json.dumps(terms).encode())
        while True:
            answer = await link.ask(message)
            if answer is not None and self._counted("POST", answer):
                order_id: str = json.loads(answer.body)["order_id"]
                self.accepted.add(order_id)
                return order_id
            if answer is not None and answer.status < 500:
                return None
            self.repeated += 1
            await asyncio.sleep(RETRY_S)

    async def _change(self, order_id: str, changes: list[Change], *, at_exchange: bool) -> None:
        """At once, which mostly meets an order that is not sent yet; or when the exchange has it."""
        for pause_s in LOOKS_S if at_exchange else ():
            if await self._is_there(order_id):
                break
            await asyncio.sleep(pause_s)
        for change in changes:
            await self._ask(change.method, order_id, change.body)
        self._room.release()

    async def _is_there(self, order_id: str) -> bool:
        answer = await self._ask("GET", order_id)
        if answer is None or answer.status != 200:
            return False
        order = json.loads(answer.body)
        return bool(order["delivery"] == "acked" or order["status"] != "Placed")

    async def _ask(self, method: str, order_id: str, body: bytes = b"") -> Answer | None:
        link = await self._links.get()
        try:
            answer = await link.ask(request(method, f"{self._host}:{self._port}", f"/orders/{order_id}", body))
        finally:
            self._links.put_nowait(link)
        if answer is not None:
            self._counted(method, answer)
        return answer

    def _counted(self, method: str, answer: Answer) -> bool:
        """Whether it was answered as it should; another answer is a finding, but what was refused for now is not."""
        self.answers[f"{method} {answer.status}"] += 1
        if answer.status in EXPECTED[method]:
            return True
        if answer.status < 500:
            self.findings.add(
                "answer", f"{method} was answered {answer.status}: {answer.body.decode(errors='replace')}"
            )
        return False


class Link:
    """A connection that is opened when it is needed."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._connection: Connection | None = None

    async def ask(self, message: bytes) -> Answer | None:
        """None where no answer came: the request may have arrived."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                if self._connection is None:
                    self._connection = await Connection.open(self._host, self._port)
                return await self._connection.ask(message)
        except (OSError, BrokenAnswer):  # TimeoutError is an OSError
            self.close()
            return None

    def close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None


def terms_of(mix: Mix, dice: random.Random, key: str) -> Terms:
    """The body of a POST."""
    terms: Terms = {
        "client_order_id": key,
        "symbol": dice.choice(mix.symbols),
        "side": dice.choice(("buy", "sell")),
        "quantity": dice.randint(1, 100),
    }
    if dice.random() < mix.limits:
        return {**terms, "limit_price": _price(mix, dice, terms), "time_in_force": dice.choice(mix.limit_times)}
    return {**terms, "time_in_force": dice.choice(mix.market_times)}


def changes_of(mix: Mix, dice: random.Random, terms: Terms) -> list[Change]:
    """What is asked for after the order was accepted: nothing mostly; some orders are replaced and then canceled."""
    changes: list[Change] = []
    if dice.random() < mix.replaced:
        new: Terms = {"quantity": max(1, terms["quantity"] + dice.randint(-20, 40))}
        if "limit_price" in terms and dice.random() < 0.5:
            new["limit_price"] = _price(mix, dice, terms)
        changes.append(Change("PUT", json.dumps(new).encode()))
    if dice.random() < mix.canceled:
        changes.append(Change("DELETE"))
    return changes


def _price(mix: Mix, dice: random.Random, terms: Terms) -> str:
    return dice.choice(mix.bids if terms["side"] == "buy" else mix.offers)
