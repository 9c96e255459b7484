"""The resting orders of one instrument, by price and then time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterator

from simulated_exchange.protocol import Side
from simulated_exchange.venue_order import VenueOrder


class Half:
    """One side. Levels are sorted by a key that grows with priority, so that the best is last and cheap to drop.

    A level is an OrderedDict, not a dict: taking the first of a dict again and again walks over its deleted
    entries.
    """

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self._levels: dict[int, OrderedDict[str, VenueOrder]] = {}

    def add(self, order: VenueOrder) -> None:
        """Puts an order last in the queue of its price."""
        key = self._sign * order.resting_price
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = OrderedDict()
            insort(self._keys, key)
        level[order.order_id] = order

    def remove(self, order: VenueOrder) -> None:
        key = self._sign * order.resting_price
        level = self._levels[key]
        del level[order.order_id]
        if not level:
            del self._levels[key]
            del self._keys[bisect_left(self._keys, key)]

    def in_priority(self, limit: int | None = None) -> Iterator[VenueOrder]:
        """Resting orders, first in line first, down to the counterparty's limit price (None: all)."""
        worst = None if limit is None else self._sign * limit
        for key in reversed(self._keys):
            if worst is not None and key < worst:
                return
            yield from self._levels[key].values()


class Book:
    __slots__ = ("_halves",)

    def __init__(self) -> None:
        self._halves: dict[str, Half] = {"buy": Half(1), "sell": Half(-1)}

    def half(self, side: Side) -> Half:
        return self._halves[side]

    def match(self, side: Side, limit: int | None, quantity: int) -> list[tuple[VenueOrder, int]]:
        """Which resting orders an incoming one would take, and how much of each. Changes nothing."""
        taken: list[tuple[VenueOrder, int]] = []
        opposite = self._halves["sell" if side == "buy" else "buy"]
        for resting in opposite.in_priority(limit):
            if quantity == 0:
                break
            part = min(quantity, resting.leaves)
            taken.append((resting, part))
            quantity -= part
        return taken
