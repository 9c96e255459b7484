"""kill -9 of the adapter in the middle of its work: the next one goes on, and nothing is placed twice."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from exchange_adapter.simulated_venue import SimulatedVenue
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Phase
from tests.support.adapter_process import AdapterProcess
from tests.support.exchange_process import ExchangeProcess
from tests.support.logged_exchange import PLACED_FILE
from tests.support.running_adapter import Client, client_of
from tests.support.waiting import wait_until

KILLS = 2


def delivered(client: Client, order_ids: list[UUID], *deliveries: Delivery) -> bool:
    """Any of them, at once: reading all of them takes longer than a call."""
    return any(client.order(order_id).delivery in deliveries for order_id in order_ids)


def test_with_an_exchange_that_deduplicates_every_order_is_placed_once(database_url: str, tmp_path: Path) -> None:
    faults = ("--latency", "0.05-0.2", "--drop-rate", "0.02", "--error-rate", "0.05")
    with (
        ExchangeProcess(tmp_path / "exchange", *faults, fill_delay="0.2") as exchange,
        client_of(database_url, SimulatedVenue.capabilities) as client,
        AdapterProcess(database_url, "simulated", exchange.address, tmp_path / "log") as adapter,
    ):
        order_ids: list[UUID] = []
        for _ in range(KILLS):
            order_ids += client.place(100)
            running = partial(delivered, client, order_ids[-50:], Delivery.SENDING, Delivery.ACKED)
            wait_until(running, what="some calls")
            adapter.kill()
            adapter.start()
        client.wait_for(order_ids, lambda order: order.phase is Phase.FILLED, within_s=30)
        fills = [client.history(order_id).count("OrderExecuted") for order_id in order_ids]
        reports = [report for entry in exchange.journal() for report in entry.reports]
    accepted = Counter(report.order_id for report in reports if report.__struct_config__.tag == "accepted")
    filled = Counter(report.order_id for report in reports if report.__struct_config__.tag == "filled")
    assert accepted == Counter(str(order_id) for order_id in order_ids)
    assert filled == accepted
    assert set(fills) == {1}


def test_with_a_plain_place_order_what_is_in_doubt_is_held(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed_file = tmp_path / "placed"
    monkeypatch.setenv(PLACED_FILE, str(placed_file))
    exchange = "tests.support.logged_exchange:place_order"
    with (
        client_of(database_url, Capabilities()) as client,
        AdapterProcess(database_url, exchange, "", tmp_path / "log") as adapter,
    ):
        order_ids: list[UUID] = []
        for _ in range(KILLS):
            order_ids += client.place(60)
            running = partial(delivered, client, order_ids[-60:], Delivery.SENDING)
            wait_until(running, what="some calls")
            adapter.kill()
            adapter.start()
        undisturbed = client.place(10)  # a kill may meet every call before it: these are placed for sure
        order_ids += undisturbed

        def settled(order: Order) -> bool:
            return order.delivery in (Delivery.ACKED, Delivery.IN_DOUBT)

        client.wait_for(order_ids, settled, within_s=20)
        orders = [client.order(order_id) for order_id in order_ids]
    placed = Counter(placed_file.read_text().split())
    assert max(placed.values()) == 1
    assert all(placed[str(order_id)] == 1 for order_id in undisturbed)
    assert all(placed[str(order.id)] == 1 for order in orders if order.delivery is Delivery.ACKED)
    in_doubt = [order for order in orders if order.delivery is Delivery.IN_DOUBT]
    assert in_doubt, "the kills should have met running calls"
    assert all(order.in_doubt == {order.attempts} for order in in_doubt)


def test_an_adapter_that_stands_by_takes_over_from_one_that_was_killed(database_url: str, tmp_path: Path) -> None:
    with (
        ExchangeProcess(tmp_path / "exchange", "--latency", "0.05-0.2", fill_delay="0.2") as exchange,
        client_of(database_url, SimulatedVenue.capabilities) as client,
        AdapterProcess(database_url, "simulated", exchange.address, tmp_path / "log-1") as first,
        AdapterProcess(database_url, "simulated", exchange.address, tmp_path / "log-2") as second,
    ):
        order_ids = client.place(100)
        wait_until(partial(delivered, client, order_ids, Delivery.ACKED), what="some calls")
        first.kill()
        order_ids += client.place(20)
        client.wait_for(order_ids, lambda order: order.phase is Phase.FILLED, within_s=30)
        workers = {client.order(order_id).worker for order_id in order_ids}
        assert second.stop() == 0
    assert len(workers) == 2
