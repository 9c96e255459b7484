"""Every order that a load has sent, and what was answered: the one side of the balance."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from load.balance import Findings
from load.run.users import Action


class Sent(Struct):
    """An order by its key. `order_id` is empty until it was accepted; `refused` is the status of a refusal for good."""

    body: bytes
    order_id: str = ""
    refused: int = 0


class Ledger:
    """`canceled` are the orders whose cancel was answered 200, and the status that came with it."""

    def __init__(self) -> None:
        self.orders: dict[str, Sent] = {}
        self.canceled: dict[str, str] = {}
        self.findings = Findings()  # of answers that contradict one another

    def sends(self, action: Action) -> None:
        """Before the request leaves: one whose answer is lost is known, too."""
        if action.operation == "place":
            self.orders[action.key] = Sent(action.body)

    def answered(self, key: str, status: int, order_id: str) -> None:
        """Of a POST. A status from 500 on, or 429, says that it may be asked again."""
        sent = self.orders[key]
        if status in (200, 201):
            if sent.order_id not in ("", order_id):
                self.findings.add("two orders", f"{key} was answered as {sent.order_id} and as {order_id}")
            sent.order_id = order_id
        elif status < 500 and status != 429:
            sent.refused = status

    @property
    def accepted(self) -> dict[str, str]:
        """The keys of accepted orders by order id."""
        return {sent.order_id: key for key, sent in self.orders.items() if sent.order_id}

    @property
    def unanswered(self) -> list[str]:
        """Keys of orders of which nobody knows yet."""
        return [key for key, sent in self.orders.items() if not sent.order_id and not sent.refused]

    @property
    def refused(self) -> Counter[str]:
        return Counter(str(sent.refused) for sent in self.orders.values() if sent.refused)
