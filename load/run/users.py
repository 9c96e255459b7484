"""What the users of a load do: each places orders, and looks at, lists, replaces and cancels its own."""

from __future__ import annotations

import random
from collections import deque
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct

from load.scenarios import OPERATIONS, Operation, Orders, Scenario

ROUTES: dict[Operation, str] = {
    "place": "POST /orders",
    "get": "GET /orders/{id}",
    "list": "GET /orders",
    "cancel": "DELETE /orders/{id}",
    "replace": "PUT /orders/{id}",
}
KEPT_ORDERS = 50  # that a user remembers
LIST_LIMIT = 20  # orders of a page that a user looks at
EXPECTED: dict[Operation, frozenset[int]] = {
    "place": frozenset({200, 201}),
    "get": frozenset({200}),
    "list": frozenset({200}),
    "cancel": frozenset({200, 202, 400, 409}),  # too late, or another change is pending
    "replace": frozenset({200, 202, 400, 409, 422}),  # likewise, or more is filled than would be left
}
"""Statuses that a client of a sound service may get."""


class Action(Struct, frozen=True, kw_only=True):
    """One request. `key` is that of the order which is placed, `order_id` the one that it is about."""

    operation: Operation
    method: str
    target: str
    body: bytes = b""
    key: str = ""
    order_id: str = ""


class Told(Struct):
    """What a user reads of an answer."""

    order_id: str = ""
    type: str = ""
    status: str = ""
    quantity: int = 0


class User:
    """`choose` says what it does next, `took` what came of it. The same seed and numbers place the same orders."""

    def __init__(self, scenario: Scenario, seed: str) -> None:
        self._orders = scenario.orders
        self._weights = list(accumulate(scenario.mix.get(operation, 0.0) for operation in OPERATIONS))
        self._seed = seed
        self._recent: deque[str] = deque(maxlen=KEPT_ORDERS)
        self._resting: dict[str, int] = {}  # limit orders that may still be changed, with their quantities

    def choose(self, number: int) -> Action:
        """The request with this number of the whole load. Who has no order yet places one."""
        dice = random.Random(f"{self._seed}-{number}")
        [operation] = dice.choices(OPERATIONS, cum_weights=self._weights)
        if operation in ("cancel", "replace") and self._resting:
            return self._change(operation, dice)
        if operation == "get" and self._recent:
            order_id = dice.choice(self._recent)
            return Action(operation="get", method="GET", target=f"/orders/{order_id}", order_id=order_id)
        if operation == "list":
            return Action(operation="list", method="GET", target=f"/orders?limit={LIST_LIMIT}")
        key = f"{self._seed}-{number}"
        body = msgspec.json.encode({"client_order_id": key, **terms(self._orders, dice)})
        return Action(operation="place", method="POST", target="/orders", body=body, key=key)

    def took(self, action: Action, status: int, told: Told) -> None:
        """`told` is the order of a success."""
        if action.operation == "place" and status in EXPECTED["place"]:
            self._recent.append(told.order_id)
            if told.type == "limit":
                self._resting[told.order_id] = told.quantity
                if len(self._resting) > KEPT_ORDERS:
                    del self._resting[next(iter(self._resting))]
        elif status in (400, 404) or told.status not in ("", "Placed"):
            self._resting.pop(action.order_id, None)
        elif action.operation == "replace" and action.order_id in self._resting:
            self._resting[action.order_id] = told.quantity or self._resting[action.order_id]

    def _change(self, operation: Operation, dice: random.Random) -> Action:
        order_id = dice.choice(list(self._resting))
        target = f"/orders/{order_id}"
        if operation == "cancel":
            del self._resting[order_id]
            return Action(operation="cancel", method="DELETE", target=target, order_id=order_id)
        body = msgspec.json.encode({"quantity": self._resting[order_id] + dice.randint(1, 10)})
        return Action(operation="replace", method="PUT", target=target, body=body, order_id=order_id)


def terms(orders: Orders, dice: random.Random) -> dict[str, Any]:
    """The order of a POST, without its key."""
    side = dice.choice(("buy", "sell"))
    placed = {"symbol": dice.choice(orders.symbols), "side": side, "quantity": dice.randint(*orders.quantities)}
    if dice.random() >= orders.limit_share:
        return placed
    price = dice.choice(orders.bids if side == "buy" else orders.offers)
    return {**placed, "limit_price": price, "time_in_force": "day"}
