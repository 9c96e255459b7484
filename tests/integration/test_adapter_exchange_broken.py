"""The adapter against the real simulated exchange with everything wrong that a person can set."""

from __future__ import annotations

from pathlib import Path

from exchange_adapter.simulated_venue import SimulatedVenue
from orders.domain.values import Phase
from simulated_exchange.audit import audit
from simulated_exchange.control_client import ask
from tests.support.exchange_process import ExchangeProcess
from tests.support.running_adapter import client_of, running_adapter

ORDERS = 300


def test_every_order_is_executed_once_at_an_exchange_with_every_fault_and_an_outage(
    database_url: str, tmp_path: Path
) -> None:
    with ExchangeProcess(tmp_path / "exchange", fill_delay="0.01-0.1") as exchange:
        venue = SimulatedVenue(exchange.address, call_timeout_s=1.0)
        ask(
            exchange.folder,
            "faults",
            error_rate=0.1,
            hang_rate=0.01,
            drop_rate=0.02,
            disconnect_rate=0.02,
            duplicate_rate=0.1,
            reorder_rate=0.1,
            latency_s=[0.0, 0.05],
        )
        with (
            client_of(database_url, venue.capabilities) as client,
            running_adapter(database_url, venue, call_timeout_s=1.0),
        ):
            order_ids = client.place(ORDERS)
            client.wait_for(order_ids[:50], lambda order: order.phase is Phase.FILLED, within_s=60)
            ask(exchange.folder, "faults", outage_s=0.5)
            client.wait_for(order_ids, lambda order: order.phase is Phase.FILLED, within_s=60)
            assert {client.order(order_id).filled for order_id in order_ids} == {10}
        found = audit(exchange.journal())
        assert found.findings == []
        assert found.states() == {"executed": ORDERS}
