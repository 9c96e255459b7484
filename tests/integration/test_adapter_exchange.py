"""The adapter against a real PostgreSQL and the real simulated exchange."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange_adapter.simulated_venue import SimulatedVenue
from orders.domain.order import Order
from orders.domain.values import Delivery, Phase, Side
from tests.support.exchange_process import ExchangeProcess
from tests.support.running_adapter import Client, client_of, running_adapter


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path / "exchange", fill_delay="0.1") as process:
        yield process


@pytest.fixture
def client(database_url: str, exchange: ExchangeProcess) -> Iterator[Client]:
    """Clients of a service whose adapter runs."""
    venue = SimulatedVenue(exchange.address, call_timeout_s=5.0)
    with (
        client_of(database_url, venue.capabilities) as client,
        running_adapter(database_url, venue, call_timeout_s=5.0),
    ):
        yield client


def resting(order: Order) -> bool:
    return order.delivery is Delivery.ACKED and order.phase is Phase.OPEN


def test_a_market_order_is_placed_and_executed(client: Client) -> None:
    (order_id,) = client.place()
    client.wait_for([order_id], lambda order: order.phase is Phase.FILLED)
    assert client.history(order_id) == ["OrderPlaced", "SubmitStarted", "OrderAccepted", "OrderExecuted"]
    assert client.order(order_id).filled == 10


def test_two_limit_orders_that_cross_are_both_executed(client: Client) -> None:
    buy = client.place(limit_price="1.10000")
    client.wait_for(buy, resting)
    sell = client.place(limit_price="1.09000", side=Side.SELL)
    client.wait_for([*buy, *sell], lambda order: order.phase is Phase.FILLED)


def test_a_resting_order_is_replaced_and_then_canceled_at_the_exchange(client: Client) -> None:
    (order_id,) = client.place(limit_price="1.00000")
    client.wait_for([order_id], resting)
    client.replace(order_id, quantity=15)
    client.wait_for([order_id], lambda order: order.quantity == 15)
    client.cancel(order_id)
    client.wait_for([order_id], lambda order: order.phase is Phase.CANCELED)


def test_orders_wait_for_an_exchange_that_is_down_and_are_placed_once_when_it_is_back(
    client: Client, exchange: ExchangeProcess
) -> None:
    before = client.place(20)
    client.wait_for(before, lambda order: order.phase is Phase.FILLED)
    exchange.kill()
    during = client.place(40)
    client.wait_for(during, lambda order: order.failures > 0 or order.delivery is not Delivery.QUEUED)
    exchange.start()
    client.wait_for(during, lambda order: order.phase is Phase.FILLED, within_s=30)
    accepted = [
        report.order_id
        for entry in exchange.journal()
        for report in entry.reports
        if report.__struct_config__.tag == "accepted"
    ]
    assert sorted(accepted) == sorted(str(order_id) for order_id in [*before, *during])


def test_when_the_exchange_cuts_connections_and_hangs_each_fill_is_recorded_once(
    database_url: str, tmp_path: Path
) -> None:
    faults = ("--drop-rate", "0.1", "--hang-rate", "0.02", "--error-rate", "0.1", "--latency", "0-0.05")
    with ExchangeProcess(tmp_path / "faulty", *faults, fill_delay="0.01") as exchange:
        venue = SimulatedVenue(exchange.address, call_timeout_s=0.5)
        with (
            client_of(database_url, venue.capabilities) as client,
            running_adapter(database_url, venue, call_timeout_s=0.5),
        ):
            order_ids = client.place(150)
            client.wait_for(order_ids, lambda order: order.phase is Phase.FILLED, within_s=30)
            histories = [client.history(order_id) for order_id in order_ids]
    assert {history.count("OrderExecuted") for history in histories} == {1}
    assert any("SubmitInDoubt" in history for history in histories), "the faults should have been felt"
