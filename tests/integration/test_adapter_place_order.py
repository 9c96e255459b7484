"""The plain, blocking place_order that fails one call in ten, plugged in."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any
from uuid import UUID

from examples import stock_exchange
from exchange_adapter.place_order import PlaceOrderVenue
from orders.domain.values import Capabilities, Delivery
from tests.support.running_adapter import client_of, running_adapter

ORDERS = 300


class Counted:
    """The example's place_order, and how often it returned for each order."""

    __module__ = stock_exchange.__name__  # where its OrderPlacementError is looked up

    def __init__(self) -> None:
        self.placed: Counter[UUID] = Counter()
        self.failed = 0
        self._lock = threading.Lock()

    def __call__(self, order: Any) -> None:
        try:
            stock_exchange.place_order(order)
        except stock_exchange.OrderPlacementError:
            with self._lock:
                self.failed += 1
            raise
        with self._lock:
            self.placed[order.id_] += 1


def test_300_orders_at_once_are_each_placed_exactly_once(database_url: str) -> None:
    exchange = Counted()
    venue = PlaceOrderVenue(exchange)
    with client_of(database_url, Capabilities()) as client, running_adapter(database_url, venue):
        order_ids = client.place(ORDERS)
        client.wait_for(order_ids, lambda order: order.delivery is Delivery.ACKED, within_s=25)
    assert exchange.placed == Counter(order_ids)
    assert exchange.failed > 0, "one call in ten should have failed"
