"""The plain, blocking place_order that fails one call in ten, plugged in."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from examples import stock_exchange
from exchange_adapter.bounds import START_BOUND_S
from exchange_adapter.place_order import PlaceOrderVenue
from orders.domain.events import SubmitStarted
from orders.domain.values import Capabilities, Delivery
from tests.support.adapter_process import AdapterProcess
from tests.support.running_adapter import client_of, running_adapter
from tests.support.slow_exchange import BEGUN_FILE, begun
from tests.support.waiting import wait_until

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


def test_an_order_in_doubt_is_sent_again_where_the_operator_chose_so_and_at_the_rate_that_is_allowed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "begun"
    monkeypatch.setenv(BEGUN_FILE, str(calls))
    settings = {"calls_per_s": 5.0, "resends_in_doubt": True, "call_timeout_s": 0.4}
    with (
        client_of(database_url, Capabilities(resends_in_doubt=True)) as client,
        AdapterProcess(database_url, "tests.support.slow_exchange:place_order", "", tmp_path / "log", **settings),
    ):
        (hanging,) = client.place(quantity=600)
        quick = client.place(5, quantity=1)
        client.wait_for(quick, lambda order: order.delivery is Delivery.ACKED)
        client.wait_for([hanging], lambda order: order.attempts > 1)
        wait_until(lambda: [order_id for order_id, _ in begun(calls)].count(hanging) > 1, what="the repeat")
        events = [recorded.event for recorded in client.store.read_stream(hanging)]
        claimed_at = [event.at for event in events if isinstance(event, SubmitStarted)]
    at = [at for _, at in begun(calls)]
    assert at[5] - at[0] >= 0.5, "six calls, one each 0.2 s; a busy machine lets them reach the file unevenly"
    first, second = claimed_at[:2]
    assert second - first >= timedelta(seconds=START_BOUND_S + 0.4)
