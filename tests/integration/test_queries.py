"""Lists, orders, trades and books over HTTP, as fresh as they were asked for."""

from collections.abc import AsyncIterator
from decimal import Decimal

import msgspec
import pytest

from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN
from orders.domain.order import view
from orders.domain.resource import resource
from tests.support.read_service import ReadService, ids, read_service, wrong_fields
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def unprojected(database_url: str) -> AsyncIterator[ReadService]:
    """Without a projector."""
    async with read_service(database_url) as service:
        yield service


@pytest.fixture(scope="module")
async def shared(module_database_url: str) -> AsyncIterator[ReadService]:
    """For tests that only read: three orders with names, of which the first is executed."""
    async with read_service(module_database_url) as service:
        with service.projecting(), service.committing():
            filled = service.desk.place("EURUSD", 10)
            service.desk.place("EURUSD", 10, "1.2", side="sell")
            service.desk.place("US0378331005", 10, client_order_id="key%+&1")
            service.desk.fill(filled, 10)
        with service.projecting():
            yield service


@pytest.fixture
async def service(unprojected: ReadService) -> AsyncIterator[ReadService]:
    with unprojected.projecting():
        yield unprojected


async def test_the_list_shows_each_order_as_the_log_has_it_newest_first(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        market = desk.place("USDCAD", 50, client_order_id="first")
        limit = desk.place("EURUSD", 30, "1.1")
        coded = desk.place("US0378331005", 20, "190.5")
        desk.fill(market, 20, "1.3")
        desk.fill(market, 30, "1.30001")
        desk.cancel(limit)
    answer = await service.get("/orders")
    last = {one.stream_id: one for one in desk.log()}
    expected = [
        resource(
            order.id,
            view(order),
            BUILT_IN,
            version=order.version,
            position=last[order.id].position,
            updated_at=order.updated_at,
        )
        for order in reversed(desk.orders.values())
    ]
    assert answer.json() == msgspec.to_builtins(expected)
    assert ids(answer) == [str(coded), str(limit), str(market)]
    assert answer.headers["Orders-Position"] == str(service.store.head())
    for order in answer.json():
        assert (await service.get(f"/orders/{order['id']}")).json() == order


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "Executed"}, ["filled"]),
        ({"status": "Placed"}, ["sold", "coded"]),
        ({"symbol": "EURUSD"}, ["filled", "sold"]),
        ({"symbol": "US0378331005"}, ["coded"]),
        ({"symbol": "GBPUSD"}, []),
        ({"side": "sell"}, ["sold"]),
        ({"side": "-1"}, ["sold"]),
        ({"client_order_id": "key"}, []),
        ({"client_order_id": "key%+&1"}, ["coded"]),
        ({"placed_after": "2026-11-02T09:30:01Z"}, ["sold", "coded"]),
        ({"placed_before": "2026-11-02T10:30:02+01:00"}, ["filled"]),
        ({"placed_after": "2026-11-02T09:30:01Z", "placed_before": "2026-11-02T09:30:03Z"}, ["sold"]),
        ({"status": "Placed", "side": "buy", "symbol": "US0378331005"}, ["coded"]),
        ({"limit": "1"}, ["coded"]),
    ],
)
async def test_filters_and_limits_hold_together(
    shared: ReadService, params: dict[str, str], expected: list[str]
) -> None:
    names = dict(zip(map(str, shared.desk.orders), ["filled", "sold", "coded"], strict=True))
    assert [names[one] for one in reversed(ids(await shared.get("/orders", **params)))] == expected


async def test_pages_are_stable_while_orders_arrive(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        orders = [str(desk.place(side="buy" if n % 3 else "sell")) for n in range(25)]
    seen: list[str] = []
    path = "/orders?limit=4&side=buy"
    while path:
        answer = await service.client.get(path)
        seen += ids(answer)
        with service.committing():
            desk.place()
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == [order for n, order in reversed(list(enumerate(orders))) if n % 3]


async def test_a_last_full_page_has_no_next(service: ReadService) -> None:
    with service.committing():
        for _ in range(4):
            service.desk.place()
    assert "Link" not in (await service.get("/orders", limit=4)).headers
    assert "Link" in (await service.get("/orders", limit=3)).headers


@pytest.mark.parametrize(
    ("path", "params", "wrong"),
    [
        ("/orders", {"limit": "0"}, ["limit"]),
        ("/orders", {"limit": "1001"}, ["limit"]),
        ("/orders", {"limit": "ten", "status": "placed", "side": "up"}, ["status", "side", "limit"]),
        ("/orders", {"placed_after": "2026-11-02"}, ["placed_after"]),
        ("/orders", {"placed_before": "2026-11-02T09:30:01"}, ["placed_before"]),
        ("/orders", {"symbol": "EUR USD"}, ["symbol"]),
        ("/orders", {"wait_ms": "5001"}, ["wait_ms"]),
        ("/orders", {"wait_ms": "-1", "min_position": "1.0"}, ["min_position", "wait_ms"]),
        ("/orders", {"cursor": "nonsense"}, ["cursor"]),
        ("/orders", {"cursor": "ä"}, ["cursor"]),
        ("/orders", {"sort": "oldest"}, ["sort"]),
        ("/trades", {"order_id": "7", "symbol": ""}, ["order_id", "symbol"]),
        ("/books/EURUSD", {"levels": "0"}, ["levels"]),
        ("/instruments", {"limit": "1"}, ["limit"]),
    ],
)
async def test_every_wrong_parameter_is_named(
    shared: ReadService, path: str, params: dict[str, str], wrong: list[str]
) -> None:
    answer = await shared.get(path, **params)
    assert wrong_fields(answer) == wrong
    assert answer.json()["detail"] == answer.json()["errors"][0]["message"]


async def test_a_parameter_that_stands_twice_is_wrong(shared: ReadService) -> None:
    assert wrong_fields(await shared.client.get("/orders?limit=1&limit=2")) == ["limit"]


async def test_a_cursor_serves_the_filters_that_it_was_given_for(service: ReadService) -> None:
    with service.committing():
        for _ in range(3):
            service.desk.place()
    next_page = (await service.get("/orders", limit=1)).links["next"]["url"]
    assert (await service.client.get(next_page)).status_code == 200
    assert wrong_fields(await service.client.get(f"{next_page}&side=buy")) == ["cursor"]
    assert wrong_fields(await service.client.get(next_page.replace("/orders", "/trades"))) == ["cursor"]


@pytest.mark.parametrize(
    "path", ["/orders", "/trades", "/books/EURUSD", "/instruments", "/orders/{id}", "/orders/{id}/events"]
)
async def test_no_read_promises_a_position_that_the_log_does_not_have(shared: ReadService, path: str) -> None:
    path = path.replace("{id}", str(next(iter(shared.desk.orders))))
    head = shared.store.head()
    assert wrong_fields(await shared.get(path, min_position=head + 1)) == ["min_position"]
    assert wrong_fields(await shared.get(path, min_position=10**18)) == ["min_position"]
    answer = await shared.get(path, min_position=head)
    assert (answer.status_code, answer.headers["Orders-Position"]) == (200, str(head))


async def test_orders_of_another_account_do_not_exist_here(service: ReadService) -> None:
    other = TradingDesk(service.store, account="other")
    with service.committing():
        order_id = other.place("EURUSD", 10, "1.1")
        other.fill(order_id, 5)
    assert ids(await service.get("/orders")) == []
    assert (await service.get("/trades")).json() == []
    assert (await service.get("/books/EURUSD")).json()["bids"] == []
    assert (await service.get(f"/orders/{order_id}")).status_code == 404
    assert (await service.get(f"/orders/{order_id}/events")).status_code == 404


async def test_trades_are_the_fills_that_count(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        first, second = desk.place("EURUSD", 100, client_order_id="k"), desk.place("USDCAD", 100, side="sell")
        desk.fill(first, 10, "1.1", "e1")
        desk.fill(first, 20, "1.2", "e2")
        desk.fill(second, 30, "1.3", "e1")
        desk.do(first, c.RecordBust, exec_id="b1", ref_exec_id="e1")
        desk.do(first, c.RecordCorrection, exec_id="c1", ref_exec_id="e2", quantity=21, price=desk_price("1.21"))
    trades = (await service.get("/trades")).json()
    assert [(one["exec_id"], one["quantity"], one["price"], one["corrects"]) for one in trades] == [
        ("c1", 21, "1.21000", "e2"),
        ("e1", 30, "1.30000", None),
    ]
    assert (trades[1]["order_id"], trades[1]["symbol"], trades[1]["side"]) == (str(second), "USDCAD", "sell")
    assert trades[0]["client_order_id"] == "k"
    assert [one["exec_id"] for one in (await service.get("/trades", order_id=first)).json()] == ["c1"]
    assert [one["exec_id"] for one in (await service.get("/trades", symbol="USDCAD")).json()] == ["e1"]
    desk.fill(first, 7, "1.5", "e3")
    (newest, _) = (await service.get("/trades", order_id=first, min_position=service.store.head())).json()
    order = (await service.get(f"/orders/{first}")).json()
    assert (newest["order_traded_quantity"], newest["order_average_price"]) == (28, "1.28250000")
    assert (order["filled_quantity"], order["average_price"]) == (28, "1.28250000")
    page = await service.get("/trades", limit=2)
    assert [one["exec_id"] for one in (await service.client.get(page.links["next"]["url"])).json()] == ["e1"]


def desk_price(text: str) -> Decimal:
    return Decimal(text)


async def test_the_book_adds_up_what_is_open_at_each_price(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        desk.place("EURUSD", 10, "1.1")
        partly = desk.place("EURUSD", 20, "1.10000")
        desk.place("EURUSD", 30, "1.2")
        desk.cancel(desk.place("EURUSD", 40, "1.3"))
        desk.fill(desk.place("EURUSD", 50, "1.4"), 50)
        desk.place("EURUSD", 60, "1.6", side="sell")
        desk.place("EURUSD", 70, "1.5", side="sell")
        desk.place("EURUSD", 80)
        desk.place("USDCAD", 90, "1.1")
        desk.fill(partly, 5)
    answer = await service.get("/books/EURUSD")
    assert answer.json() == {
        "symbol": "EURUSD",
        "position": service.store.head(),
        "bids": [{"price": "1.20000", "quantity": 30, "orders": 1}, {"price": "1.10000", "quantity": 25, "orders": 2}],
        "asks": [{"price": "1.50000", "quantity": 70, "orders": 1}, {"price": "1.60000", "quantity": 60, "orders": 1}],
    }
    best = (await service.get("/books/EURUSD", levels=1)).json()
    assert (len(best["bids"]), best["bids"][0]["price"], best["asks"][0]["price"]) == (1, "1.20000", "1.50000")


@pytest.mark.parametrize(
    ("segment", "symbol"), [("NOPE", "NOPE"), ("EUR%2FUSD", "EUR/USD"), ("a%252Fb", "a%2Fb"), ("%25", "%")]
)
async def test_there_is_no_book_of_what_does_not_trade(shared: ReadService, segment: str, symbol: str) -> None:
    answer = await shared.get(f"/books/{segment}")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"Symbol: {symbol} is not supported")


async def test_the_catalogue_lists_symbols_and_the_rule_for_codes(shared: ReadService) -> None:
    listed = (await shared.get("/instruments")).json()
    assert [one["symbol"] for one in listed] == ["CADUSD", "EURUSD", "USDCAD", "USDEUR", None]
    assert listed[1] == {
        "symbol": "EURUSD",
        "code_pattern": None,
        "decimals": 5,
        "tick_size": "0.00001",
        "lot_size": 1,
    }
    assert listed[-1]["code_pattern"] == "^[A-Za-z0-9]{12}$"
