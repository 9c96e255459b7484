"""In which forms a body may come, and in which one form an order is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from orders.domain.events import OrderPlaced
from orders.eventstore.memory import MemoryEventStore
from tests.support.command_service import EURUSD, CommandService, command_service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service() -> AsyncIterator[CommandService]:
    store = MemoryEventStore()
    async with command_service(store, store.hints) as running:
        yield running


def stored_price(service: CommandService, order: dict[str, Any]) -> str:
    last = service.store.read_last(UUID(order["id"]))
    assert last is not None
    assert isinstance(last.event, OrderPlaced)
    return str(last.event.after.limit_price)


@pytest.mark.parametrize("written", ["1.1", "1.10", "11e-1", "1.1000000000000", 1.1, "0.11E1"])
async def test_a_price_is_kept_in_one_form_however_it_is_written(service: CommandService, written: Any) -> None:
    order = await service.place(limit_price=written, client_order_id=f"key-{written}")
    assert order["limit_price"] == "1.10000"
    assert stored_price(service, order) == "1.1"


async def test_a_price_with_an_exponent_is_kept_without_it(service: CommandService) -> None:
    order = await service.place(price="2e2")
    assert (order["limit_price"], order["type"]) == ("200.00000", "limit")
    assert stored_price(service, order) == "200"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/csv"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_a_body_in_another_form_is_refused_by_its_own_word(
    service: CommandService, headers: dict[str, str]
) -> None:
    answer = await service.http.post("/orders", content=b"{}", headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON; charset=UTF-8", "application/x+json", None]
)
async def test_json_by_any_of_its_names_is_taken(service: CommandService, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    answer = await service.http.post("/orders", content=b'{"symbol": "EURUSD", "quantity": 1}', headers=headers)
    assert answer.status_code == 201


async def test_two_keys_are_no_key(service: CommandService) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await service.http.post("/orders", json=EURUSD, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
