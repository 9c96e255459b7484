"""Orders that rest at the exchange, and clients that change and cancel them while it is well or not.

What the service accepted of an order must reach the exchange in that order: the quantities of an order, and its cancel
last, are its story, and the exchange's journal tells the end of the same one.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from load.http_client import ANSWER_TIMEOUT_S, BrokenAnswer, Connection, request
from load.open_loop import connected

CLIENTS = 8  # a change at an exchange that is away is answered after 2 s
CANCELED_SHARE = 0.3  # of the changes are cancels
KEPT = 200  # newest orders that are changed: what was just placed, and what rests since before the outage

CANCEL = None
Story = list[int | None]
"""Total quantities, one after the other, and CANCEL."""


class RestingOrder(Struct):
    order_id: str
    story: Story
    acked: bool = False  # the exchange has it, as an answer said
    busy: bool = False
    unsure: bool = False  # an answer was lost: what was accepted is not known

    @property
    def canceled(self) -> bool:
        return self.story[-1] is CANCEL


class Told(Struct):
    delivery: str = ""


class Changes:
    """`answers` counts by method and status, in all phases. A cancel of an order in doubt is settled only when nothing
    sent before can arrive any more, a minute later: without `cancels_in_doubt` there is none. Each client pauses for
    `pause_s` between its changes, on average."""

    def __init__(self, host: str, port: int, seed: int, *, pause_s: float, cancels_in_doubt: bool) -> None:
        self.answers: Counter[str] = Counter()
        self.orders: dict[str, RestingOrder] = {}
        self._host, self._port = host, port
        self._pause_s = pause_s
        self._cancels_in_doubt = cancels_in_doubt
        self._decoder = msgspec.json.Decoder(Told)
        self._dice = random.Random(seed)
        self._open: list[RestingOrder] = []
        self._stopping = asyncio.Event()

    def add(self, order_id: str, quantity: int) -> None:
        order = self.orders[order_id] = RestingOrder(order_id, [quantity])
        self._open.append(order)
        if len(self._open) > KEPT:
            self._open.pop(self._dice.randrange(KEPT))

    def end(self) -> None:
        """`run` returns when the changes that are under way are answered."""
        self._stopping.set()

    def unexpected(self) -> dict[str, int]:
        """Answers that no client should get: 409 says that another change is under way."""
        expected = {f"{method} {status}" for method in ("PUT", "DELETE") for status in (200, 202, 409)}
        return {answer: number for answer, number in self.answers.items() if answer not in expected}

    async def run(self) -> None:
        """Raises ServerGone."""
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)))

    async def _client(self) -> None:
        link = await connected(self._host, self._port)
        try:
            while not self._stopping.is_set():
                try:
                    async with asyncio.timeout(self._dice.uniform(0, 2 * self._pause_s)):
                        await self._stopping.wait()
                except TimeoutError:
                    link = await self._change(link)
        finally:
            link.close()

    async def _change(self, link: Connection) -> Connection:
        free = [order for order in self._open if not order.busy]
        if not free:
            return link
        order = self._dice.choice(free)
        order.busy = True
        try:
            return await self._ask(link, order)
        finally:
            order.busy = False

    async def _ask(self, link: Connection, order: RestingOrder) -> Connection:
        cancels = self._dice.random() < CANCELED_SHARE and (order.acked or self._cancels_in_doubt)
        method = "DELETE" if cancels else "PUT"
        quantity = (order.story[-1] or 0) + 1
        body = b"" if cancels else msgspec.json.encode({"quantity": quantity})
        asked = request(method, f"{self._host}:{self._port}", f"/orders/{order.order_id}", body)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await link.ask(asked)
        except (BrokenAnswer, TimeoutError) as error:
            self.answers[f"{method}: {error or 'no answer in time'}"] += 1
            order.unsure = True
            self._forget(order)
            link.close()
            return await connected(self._host, self._port)
        self.answers[f"{method} {answer.status}"] += 1
        if answer.status in (200, 202):
            order.acked = order.acked or self._decoder.decode(answer.body).delivery == "acked"
            order.story.append(CANCEL if cancels else quantity)
            if cancels:
                self._forget(order)
        return link

    def _forget(self, order: RestingOrder) -> None:
        """No more changes of it."""
        if order in self._open:
            self._open.remove(order)


def contradicts(accepted: Sequence[int | None], at_exchange: Sequence[int | None]) -> str | None:
    """What is wrong with the exchange's story of an order; None where it ends as the accepted one does. Changes that
    came before the order was sent are in its first quantity; one canceled before may never have been sent."""
    if not at_exchange:
        return None if accepted[-1] is CANCEL else "was never placed"
    if list(accepted[-len(at_exchange) :]) == list(at_exchange):
        return None
    return f"was accepted as {_told(accepted)}, at the exchange {_told(at_exchange)}"


def _told(story: Sequence[int | None]) -> str:
    return ", ".join("cancel" if quantity is CANCEL else str(quantity) for quantity in story)
