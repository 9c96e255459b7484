"""The list of orders as it was: exactly what the log says up to a position, however much happened since."""

from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from orders.domain import commands as c
from orders.domain.events import OrderEvent
from orders.domain.instruments import BUILT_IN
from orders.eventstore.port import Recorded
from projections import orders_as_of
from projections.history import shown
from tests.support.read_service import ReadService, ids, read_service, wrong_fields
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def unprojected(database_url: str) -> AsyncIterator[ReadService]:
    async with read_service(database_url) as service:
        yield service


@pytest.fixture
async def service(unprojected: ReadService) -> AsyncIterator[ReadService]:
    with unprojected.projecting():
        yield unprojected


@pytest.fixture(scope="module")
async def lived(module_database_url: str) -> AsyncIterator[ReadService]:
    """For tests that only read: orders that are filled, busted, replaced and canceled while others are placed, one of
    them by another account."""
    async with read_service(module_database_url) as service:
        desk, other = service.desk, TradingDesk(service.store, account="other")
        with service.projecting(), service.committing():
            first = desk.place("EURUSD", 10, client_order_id="first")
            second = desk.place("EURUSD", 20, "1.1", side="sell")
            other.place("EURUSD", 50)
            desk.fill(first, 10, "1.1", "e1")
            third = desk.place("US0378331005", 30, "190.5")
            desk.do(first, c.RecordBust, exec_id="b1", ref_exec_id="e1")
            desk.do(third, c.ReplaceOrder, quantity=25, limit_price=Decimal("191"))
            desk.cancel(second)
            desk.place("USDCAD", 40, side="sell")
            desk.do(third, c.RecordReplaced, quantity=25, limit_price=Decimal("191"))
            desk.fill(first, 10, "1.2", "e2")
            desk.fill(third, 25, "191")
            yield service


def as_it_was(log: list[Recorded], position: int, **filters: str) -> list[dict[str, Any]]:
    """The account's list by the log alone, without a table."""
    placed: dict[UUID, Recorded] = {}
    for recorded in log:
        assert isinstance(recorded.event, OrderEvent)
        if recorded.position <= position and recorded.event.after.account == "local":
            placed[recorded.stream_id] = recorded  # a dict keeps the place of the first
    orders = [msgspec.to_builtins(shown(last, BUILT_IN)) for last in reversed(placed.values())]
    return [order for order in orders if all(order[name] == value for name, value in filters.items())]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"status": "Placed"},
        {"status": "Executed"},
        {"symbol": "EURUSD"},
        {"side": "sell", "status": "Canceled"},
        {"client_order_id": "first"},
    ],
)
async def test_the_list_was_what_the_log_said_at_every_position(lived: ReadService, filters: Mapping[str, str]) -> None:
    log = lived.desk.log()
    for position in range(lived.store.head() + 1):
        answer = await lived.get("/orders", as_of=position, **filters)
        assert answer.json() == as_it_was(log, position, **filters), position
        assert answer.headers["Orders-Position"] == str(position)


async def test_orders_placed_in_a_time_are_shown_as_they_were(lived: ReadService) -> None:
    second = str(list(lived.desk.orders)[1])
    between = {"placed_after": "2026-11-02T09:30:01Z", "placed_before": "2026-11-02T09:30:03Z"}
    (order,) = (await lived.get("/orders", as_of=3, **between)).json()
    assert (order["id"], order["status"]) == (second, "Placed")
    assert ids(await lived.get("/orders", as_of=1, **between)) == []


async def test_pages_of_the_past_stand_still_while_orders_come_and_change(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        orders = [desk.place(side="buy" if number % 3 else "sell") for number in range(20)]
    as_of, seen = service.store.head(), []
    expected = as_it_was(desk.log(), as_of, side="buy")
    path = f"/orders?limit=4&side=buy&as_of={as_of}"
    while path:
        answer = await service.client.get(path)
        seen += answer.json()
        assert answer.headers["Orders-Position"] == str(as_of)
        with service.committing():
            desk.place()
            desk.fill(orders.pop(0), 100)
            desk.cancel(orders.pop(0))
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == expected


async def test_a_page_looks_at_so_many_orders_and_no_more(lived: ReadService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_as_of, "MAX_PAST_CANDIDATES", 2)
    head = lived.store.head()
    pages: list[list[str]] = []
    path = f"/orders?status=Executed&limit=2&as_of={head}"
    while path:
        answer = await lived.client.get(path)
        pages.append(ids(answer))
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    first, _, third, _ = map(str, lived.desk.orders)
    assert pages == [[third], [first]]
    short = await lived.get("/orders", status="Rejected", as_of=head)
    assert (short.json(), "next" in short.links) == ([], True)


async def test_a_cursor_serves_the_position_that_it_was_given_for(lived: ReadService) -> None:
    next_page = (await lived.get("/orders", as_of=4, limit=1)).links["next"]["url"]
    assert (await lived.client.get(next_page)).status_code == 200
    assert wrong_fields(await lived.client.get(next_page.replace("as_of=4", "as_of=5"))) == ["cursor"]


async def test_what_was_waits_for_tables_that_know_it_and_is_never_answered_without(unprojected: ReadService) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()
        assert len(ids(await service.get("/orders", as_of=1))) == 1
    service.desk.place()
    for wait_ms in (0, 50):
        refused = await service.get("/orders", as_of=2, wait_ms=wait_ms)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert len(ids(await service.get("/orders", as_of=1, wait_ms=wait_ms or 1000))) == 1
    with service.projecting():
        assert len(ids(await service.get("/orders", as_of=2))) == 2


async def test_what_was_needs_nothing_newer_than_itself(unprojected: ReadService) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()
        assert len(ids(await service.get("/orders", min_position=1))) == 1
    with service.committing():
        service.desk.place()
    assert len(ids(await service.get("/orders", as_of=1))) == 1


async def test_a_past_that_there_is_not_is_refused_with_the_reason(lived: ReadService) -> None:
    head = lived.store.head()
    assert wrong_fields(await lived.get("/orders", as_of=head + 1)) == ["as_of"]
    by_time = await lived.get("/orders", as_of="2026-11-02T09:30:03Z")
    assert wrong_fields(by_time) == ["as_of"]
    assert "Orders-Position" in by_time.json()["detail"]
    assert wrong_fields(await lived.get("/orders", as_of=1, min_position=head + 1)) == ["min_position"]
    for path, words in (("/trades", "busts and corrections"), ("/books/EURUSD", "status=Placed")):
        refused = await lived.get(path, as_of=1)
        assert wrong_fields(refused) == ["as_of"]
        assert words in refused.json()["detail"]
