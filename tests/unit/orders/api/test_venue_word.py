"""DELETE and PUT of an order that the exchange has: what its word, or its silence, makes of the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from orders.domain import commands as c
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import StoreUnavailable
from tests.support.command_service import LIMIT, CommandService, command_service
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

Word = tuple[type[c.Command], dict[str, Any]]

FILLED: Word = (c.RecordExecution, {"exec_id": "x", "quantity": 10, "price": Decimal("1.1")})
PARTLY: Word = (c.RecordExecution, {"exec_id": "x", "quantity": 4, "price": Decimal("1.1")})
CANCELED: Word = (c.RecordCanceled, {})
EXPIRED: Word = (c.RecordExpired, {"reason": "the day is over"})
CANCEL_REFUSED: Word = (c.RecordCancelRejected, {"reason": "the book is closed"})
REPLACED: Word = (c.RecordReplaced, {"quantity": 20, "limit_price": Decimal("1.2")})
OTHERS_TERMS: Word = (c.RecordReplaced, {"quantity": 12, "limit_price": Decimal("1.1")})
REPLACE_REFUSED: Word = (c.RecordReplaceRejected, {"reason": "the price is too far away"})


class Store(MemoryEventStore):
    reads_fail = False

    def read_stream(self, *given: Any, **named: Any) -> Any:
        if self.reads_fail:
            raise StoreUnavailable("the database is away")
        return super().read_stream(*given, **named)


@pytest.fixture
async def service() -> AsyncIterator[CommandService]:
    store = Store()
    async with command_service(store, store.hints) as running:
        yield running


async def request_of(service: CommandService, order_id: UUID, name: str) -> UUID:
    """The id of the request, as soon as it is in the log."""

    async def recorded() -> UUID | None:
        last = service.store.read_last(order_id)
        return last.event.event_id if last and type(last.event).__name__ == name else None

    found = await wait_until_async(recorded)
    assert found is not None
    return found


async def canceling(service: CommandService, *words: Word) -> httpx.Response:
    order_id = await service.place_at_venue(**LIMIT)
    asked = asyncio.create_task(service.http.delete(f"/orders/{order_id}"))
    await request_of(service, order_id, "CancelRequested")
    for kind, fields in words:
        await service.venue_does(order_id, kind, **fields)
    return await asked


async def replacing(service: CommandService, *words: Word) -> httpx.Response:
    order_id = await service.place_at_venue(**LIMIT)
    new = {"quantity": 20, "price": "1.2"}
    asked = asyncio.create_task(service.http.put(f"/orders/{order_id}", json=new))
    request_id = await request_of(service, order_id, "ReplaceRequested")
    for kind, fields in words:
        ours = kind in (c.RecordReplaced, c.RecordReplaceRejected) and (kind, fields) != OTHERS_TERMS
        await service.venue_does(order_id, kind, **fields, **({"request_id": request_id} if ours else {}))
    return await asked


@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        ([CANCELED], 200, {"status": "Canceled"}),
        ([PARTLY, CANCELED], 200, {"status": "Canceled", "filled_quantity": 4}),
        ([FILLED], 400, {"detail": "has already been executed"}),
        ([EXPIRED], 400, {"detail": "has already been expired"}),
        ([CANCEL_REFUSED], 409, {"detail": "the book is closed"}),
    ],
)
async def test_a_cancel_is_answered_by_the_venues_word(
    service: CommandService, words: list[Word], status: int, shown: dict[str, Any]
) -> None:
    answer = await canceling(service, *words)
    assert answer.status_code == status, answer.text
    assert int(answer.headers["orders-position"]) > 0
    for name, value in shown.items():
        found = answer.json()[name]
        assert found.endswith(value) if name == "detail" else found == value


@pytest.mark.parametrize(
    ("words", "status", "shown"),
    [
        ([REPLACED], 200, {"quantity": 20, "limit_price": "1.20000", "ord_status": "New"}),
        ([PARTLY, REPLACED], 200, {"quantity": 20, "ord_status": "PartiallyFilled"}),
        ([REPLACE_REFUSED], 409, {"detail": "the price is too far away"}),
        ([OTHERS_TERMS, REPLACE_REFUSED], 409, {"detail": "the price is too far away"}),
        ([CANCELED], 400, {"detail": "has already been canceled"}),
        ([FILLED, REPLACE_REFUSED], 400, {"detail": "has already been executed"}),
    ],
)
async def test_new_terms_are_answered_by_the_venues_word(
    service: CommandService, words: list[Word], status: int, shown: dict[str, Any]
) -> None:
    answer = await replacing(service, *words)
    assert answer.status_code == status, answer.text
    for name, value in shown.items():
        found = answer.json()[name]
        assert found.endswith(value) if name == "detail" else found == value


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_venue_that_stays_silent_leaves_it_pending(method: str) -> None:
    store = MemoryEventStore()
    async with command_service(store, store.hints, venue_wait_s=0.02) as service:
        order_id = await service.place_at_venue(**LIMIT)
        answer = await service.http.request(method, f"/orders/{order_id}", json={"quantity": 20})
        again = await service.http.request(method, f"/orders/{order_id}", json={"quantity": 20})
    assert answer.status_code == 202
    assert answer.json()["ord_status"] == ("PendingCancel" if method == "DELETE" else "PendingReplace")
    assert again.status_code == 409


async def test_a_request_stays_accepted_where_the_database_is_lost_during_the_wait() -> None:
    store = Store()
    async with command_service(store, store.hints, venue_wait_s=0.1) as service:
        order_id = await service.place_at_venue(**LIMIT)
        asked = asyncio.create_task(service.http.delete(f"/orders/{order_id}"))
        await request_of(service, order_id, "CancelRequested")
        store.reads_fail = True
        answer = await asked
    assert (answer.status_code, answer.json()["ord_status"]) == (202, "PendingCancel")
    assert answer.headers["orders-position"] == str(store.head())


async def test_an_order_of_another_account_is_not_there(service: CommandService) -> None:
    order_id = uuid4()
    terms = c.Terms(symbol="EURUSD", quantity=1)
    at = datetime.now(UTC)
    theirs = c.PlaceOrder(
        order_id=order_id, command_id=uuid4(), at=at, by="client:theirs", account="theirs", terms=terms
    )
    await service.handler.place(theirs)
    for answer in (
        await service.http.delete(f"/orders/{order_id}"),
        await service.http.put(f"/order/{order_id}", json={"quantity": 1}),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"] == f"Order with ID: {order_id} does not exist"
    assert service.events(order_id) == ["OrderPlaced"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/orders/nonsense", "/orders/batch", "/order/batch"])
async def test_there_is_no_order_of_what_is_no_id(service: CommandService, method: str, path: str) -> None:
    answer = await service.http.request(method, path, json={"quantity": 1})
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"Order with ID: {path.rpartition('/')[2]} does not exist"
