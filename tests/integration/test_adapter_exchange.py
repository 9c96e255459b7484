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
