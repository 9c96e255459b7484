"""The venue's rules once more, as plainly as they can be put: every question sorts or counts a list of all orders.

It knows no reports, journal or requests' ids; tests hold the real one's orders against it, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from simulated_exchange.house import fill_delay_us
from simulated_exchange.state import DAY_US


@dataclass
class NaiveOrder:
    name: str
    side: str
    time_in_force: str
    price: Decimal | None
    quantity: int
    since: int  # place in time: smaller comes first
    day: int
    due: int | None = None  # when the house fills it
    filled: int = 0
    state: str = "working"

    @property
    def left(self) -> int:
        return self.quantity - self.filled

    def take(self, quantity: int) -> None:
        self.filled += quantity
        if self.left == 0:
            self.state = "executed"


class NaiveVenue:
    def __init__(self, seed: int, fill_delay: tuple[int, int]) -> None:
        self.orders: dict[str, NaiveOrder] = {}
        self._seed = seed
        self._fill_delay = fill_delay
        self._steps = 0
        self.house_open = True

    def submit(self, name: str, side: str, quantity: int, price: Decimal | None, time_in_force: str, now: int) -> None:
        self.pass_time(now)
        if name not in self.orders:
            order = NaiveOrder(name, side, time_in_force, price, quantity, self._step(), now // DAY_US)
            self.orders[name] = order
            self._trade(order, now)

    def cancel(self, name: str, now: int) -> None:
        self.pass_time(now)
        if self._works(name):
            self.orders[name].state = "canceled"

    def replace(self, name: str, quantity: int, price: Decimal | None, now: int) -> None:
        self.pass_time(now)
        if not self._works(name):
            return
        order = self.orders[name]
        if quantity < order.filled or (order.price is None and price is not None):
            return
        moved = price is not None and price != order.price
        if moved or quantity > order.quantity:
            order.since = self._step()
        order.quantity = quantity
        order.price = order.price if price is None else price
        order.take(0)
        if moved and order.state == "working":
            self._trade(order, now)

    def pass_time(self, now: int) -> None:
        for order in self.orders.values():
            if order.state != "working":
                continue
            midnight = (order.day + 1) * DAY_US if order.time_in_force == "day" else now + 1
            if order.due is not None and order.due <= min(now, midnight):
                self._ask_house(order)
            elif midnight <= now:
                order.state = "expired"

    def line(self, side: str) -> list[NaiveOrder]:
        """Who rests on a side of the book, first in line first."""
        resting = [
            order
            for order in self.orders.values()
            if order.state == "working" and order.side == side and order.price is not None
        ]
        sign = -1 if side == "buy" else 1
        return sorted(resting, key=lambda order: (sign * (order.price or 0), order.since))

    def _works(self, name: str) -> bool:
        return name in self.orders and self.orders[name].state == "working"

    def _step(self) -> int:
        self._steps += 1
        return self._steps

    def _accepts(self, order: NaiveOrder, offered: Decimal) -> bool:
        if order.price is None:
            return True
        return offered <= order.price if order.side == "buy" else offered >= order.price

    def _trade(self, order: NaiveOrder, now: int) -> None:
        others = self.line("sell" if order.side == "buy" else "buy")
        partners = [other for other in others if self._accepts(order, other.price or Decimal(0))]
        enough = sum(other.left for other in partners) >= order.left
        if enough or order.time_in_force != "fok":
            for other in partners:
                part = min(order.left, other.left)
                if part:
                    order.take(part)
                    other.take(part)
        if order.state == "working" and order.price is None and self.house_open:
            order.due = now + fill_delay_us(self._seed, order.name, self._fill_delay)
        elif order.state == "working" and order.price is None:
            self._ask_house(order)
        elif order.state == "working" and order.time_in_force in ("ioc", "fok"):
            order.state = "expired"

    def _ask_house(self, order: NaiveOrder) -> None:
        if self.house_open:
            order.take(order.left)
        else:
            order.state = "expired" if order.time_in_force in ("ioc", "fok") else "canceled"
