"""EXCHANGE=module:function: a plain blocking place_order that fails one call in ten, unmodified."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.running_service import RunningService, running_service
from tests.support.waiting import wait_until

ORDERS = 300


@pytest.mark.anyio
async def test_300_orders_at_once_are_all_accepted_and_each_is_placed_exactly_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with running_service(EXCHANGE="tests.support.counting_exchange:place_order", COUNTED_CALLS=str(calls)) as service:
        accepted = await _place_all(service.url)
        wait_until(lambda: _all_acked(service), within_s=60, what="every order to be placed")
        placed = Counter(calls.read_text().split())
    assert len(accepted) == ORDERS
    assert placed == Counter(accepted)


async def _place_all(url: str) -> list[str]:
    limits = httpx.Limits(max_connections=ORDERS)
    async with httpx.AsyncClient(base_url=url, timeout=30, limits=limits, trust_env=False) as http:
        answers = await asyncio.gather(
            *(http.post("/orders", json={"symbol": "EURUSD", "quantity": 1}) for _ in range(ORDERS))
        )
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"] for answer in answers]


def _all_acked(service: RunningService) -> bool:
    orders = service.all_orders()
    return len(orders) == ORDERS and {order["delivery"] for order in orders} == {"acked"}
