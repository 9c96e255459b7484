"""Lists, orders, trades and books over HTTP, as fresh as they were asked for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest

from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN
from orders.domain.order import view
from orders.domain.resource import resource
from orders.eventstore.memory import MemoryEventStore
from projections.order_status import ORDER_STATUS
from projections.registry import PROJECTIONS
from projections.tables import make_tables
from tests.support.read_service import ReadService, read_service
from tests.support.trading_desk import OPENING, TradingDesk
from tests.support.waiting import wait_until_async

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
        with service.projecting(), committed(service):
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


@contextmanager
def committed(service: ReadService) -> Iterator[None]:
    """What is appended meanwhile counts as committed by this API process."""
    yield
    service.committed = service.store.head()


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json()]


def fields_of(answer: httpx.Response, status: int = 422) -> list[str]:
    assert answer.status_code == status, answer.text
    return [error["field"] for error in answer.json()["errors"]]


async def test_the_list_shows_each_order_as_the_log_has_it_newest_first(service: ReadService) -> None:
    desk = service.desk
    with committed(service):
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
    with committed(service):
        orders = [str(desk.place(side="buy" if n % 3 else "sell")) for n in range(25)]
    seen: list[str] = []
    path = "/orders?limit=4&side=buy"
    while path:
        answer = await service.client.get(path)
        seen += ids(answer)
        with committed(service):
            desk.place()
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == [order for n, order in reversed(list(enumerate(orders))) if n % 3]


async def test_a_last_full_page_has_no_next(service: ReadService) -> None:
    with committed(service):
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
    assert fields_of(answer) == wrong
    assert answer.json()["detail"] == answer.json()["errors"][0]["message"]


async def test_a_parameter_that_stands_twice_is_wrong(shared: ReadService) -> None:
    assert fields_of(await shared.client.get("/orders?limit=1&limit=2")) == ["limit"]


async def test_a_cursor_serves_the_filters_that_it_was_given_for(service: ReadService) -> None:
    with committed(service):
        for _ in range(3):
            service.desk.place()
    next_page = (await service.get("/orders", limit=1)).links["next"]["url"]
    assert (await service.client.get(next_page)).status_code == 200
    assert fields_of(await service.client.get(f"{next_page}&side=buy")) == ["cursor"]
    assert fields_of(await service.client.get(next_page.replace("/orders", "/trades"))) == ["cursor"]


async def test_a_list_after_an_own_write_is_never_older(service: ReadService) -> None:
    for _ in range(40):
        with committed(service):
            order_id = service.desk.place()
        newest, *_ = ids(await service.get("/orders", limit=1))
        assert newest == str(order_id)


async def test_a_list_waits_for_the_position_that_is_asked_for(service: ReadService) -> None:
    for _ in range(10):
        order_id = service.desk.place()
        answer = await service.get("/orders", limit=1, min_position=service.store.head())
        assert ids(answer) == [str(order_id)]
        assert int(answer.headers["Orders-Position"]) >= service.store.head()


async def test_a_wait_that_runs_out_is_refused_and_never_answered_with_something_old(
    unprojected: ReadService,
) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()
        assert len(ids(await service.get("/orders", min_position=1))) == 1
    with committed(service):
        service.desk.place()
    refused = await service.get("/orders", wait_ms=50)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    stale = await service.get("/orders", wait_ms=0, min_position=2)
    assert len(ids(stale)) == 1
    assert stale.headers["Orders-Position"] == "1"


async def test_one_wait_serves_many_requests_as_soon_as_the_projector_is_there(unprojected: ReadService) -> None:
    service = unprojected
    with committed(service):
        service.desk.place()
    waiting = [asyncio.create_task(service.get("/orders")) for _ in range(50)]
    await wait_until_async(lambda: asyncio.sleep(0, not any(one.done() for one in waiting)))
    with service.projecting():
        for answer in await asyncio.gather(*waiting):
            assert len(ids(answer)) == 1


async def test_what_was_there_before_this_process_is_waited_for(unprojected: ReadService) -> None:
    service = unprojected
    service.desk.place()
    assert (await service.get("/orders", wait_ms=50)).status_code == 503
    with service.projecting():
        assert len(ids(await service.get("/orders"))) == 1


async def test_lists_wait_out_a_rebuild(service: ReadService) -> None:
    with committed(service):
        for _ in range(20):
            service.desk.place()
    assert len(ids(await service.get("/orders"))) == 20
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("drop schema projection_order_status cascade")
        assert make_tables(connection, ORDER_STATUS)
    assert len(ids(await service.get("/orders"))) == 20


@pytest.mark.parametrize(
    "path", ["/orders", "/trades", "/books/EURUSD", "/instruments", "/orders/{id}", "/orders/{id}/events"]
)
async def test_no_read_promises_a_position_that_the_log_does_not_have(shared: ReadService, path: str) -> None:
    path = path.replace("{id}", str(next(iter(shared.desk.orders))))
    head = shared.store.head()
    assert fields_of(await shared.get(path, min_position=head + 1)) == ["min_position"]
    assert fields_of(await shared.get(path, min_position=10**18)) == ["min_position"]
    answer = await shared.get(path, min_position=head)
    assert (answer.status_code, answer.headers["Orders-Position"]) == (200, str(head))


async def test_one_order_is_never_stale_and_needs_no_projector(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10)
    assert (await unprojected.get(f"/orders/{order_id}")).json()["status"] == "Placed"
    desk.fill(order_id, 10)
    answer = await unprojected.get(f"/order/{order_id}")
    assert (answer.json()["status"], answer.json()["version"]) == ("Executed", 2)
    assert answer.headers["Orders-Position"] == "2"


@pytest.mark.parametrize("bad_id", [str(uuid4()), "7", "not-an-id", "{urn}", uuid4().hex, "%00", "ü"])
@pytest.mark.parametrize("path", ["/orders/{id}", "/order/{id}", "/orders/{id}/events"])
async def test_there_is_no_order_of_an_unknown_or_invalid_id(shared: ReadService, path: str, bad_id: str) -> None:
    answer = await shared.get(path.replace("{id}", bad_id))
    shown = httpx.URL(f"http://x/{bad_id}").path[1:]
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"Order with ID: {shown} does not exist"


async def test_orders_of_another_account_do_not_exist_here(service: ReadService) -> None:
    other = TradingDesk(service.store, account="other")
    with committed(service):
        order_id = other.place("EURUSD", 10, "1.1")
        other.fill(order_id, 5)
    assert ids(await service.get("/orders")) == []
    assert (await service.get("/trades")).json() == []
    assert (await service.get("/books/EURUSD")).json()["bids"] == []
    assert (await service.get(f"/orders/{order_id}")).status_code == 404
    assert (await service.get(f"/orders/{order_id}/events")).status_code == 404


async def test_an_order_is_shown_as_it_was(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10)
    desk.fill(order_id, 4)
    desk.fill(order_id, 6)
    path = f"/orders/{order_id}"
    for as_of, filled in [
        ("1", 0),
        ("2", 4),
        ("3", 10),
        ("2026-11-02T09:30:02Z", 4),
        ("2026-11-02T09:30:02.5Z", 4),
        ("2026-11-02T10:30:01+01:00", 0),
        ("2030-01-01T00:00:00Z", 10),
    ]:
        answer = await unprojected.get(path, as_of=as_of)
        assert answer.json()["filled_quantity"] == filled, as_of
        assert answer.headers["Orders-Position"] == str(answer.json()["position"])
    assert (await unprojected.get(path, as_of=(OPENING - timedelta(days=1)).isoformat())).status_code == 404
    assert (await unprojected.get(path, as_of=0)).status_code == 404
    assert fields_of(await unprojected.get(path, as_of=4)) == ["as_of"]
    assert fields_of(await unprojected.get(path, as_of="yesterday")) == ["as_of"]


async def test_a_history_tells_every_event_with_its_evidence(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 10, "1.1")
    desk.fill(order_id, 4, "1.1", "e1")
    desk.do(order_id, c.RecordCanceled, reason="by the venue")
    answer = await unprojected.get(f"/orders/{order_id}/events")
    placed, filled, canceled = answer.json()
    assert (placed["event"], placed["version"], placed["position"], placed["by"]) == ("OrderPlaced", 1, 1, "tests")
    assert (placed["evidence"], placed["at"]) == (None, "2026-11-02T09:30:01Z")
    assert filled["fields"] == {"exec_id": "e1", "quantity": 4, "price": "1.10000", "leaves": None}
    assert (filled["evidence"], filled["ord_status"]) == ("venue_report", "PartiallyFilled")
    assert (canceled["fields"]["reason"], canceled["status"]) == ("by the venue", "Canceled")


async def test_a_history_is_paged_oldest_first_and_ends_where_it_was_asked_to(unprojected: ReadService) -> None:
    desk = unprojected.desk
    order_id = desk.place("EURUSD", 100)
    for _ in range(9):
        desk.fill(order_id, 1)
    for as_of, last in [({}, 10), ({"as_of": 7}, 7), ({"as_of": 6}, 6)]:
        versions: list[int] = []
        answer = await unprojected.get(f"/orders/{order_id}/events", limit=3, **as_of)
        while True:
            versions += [one["version"] for one in answer.json()]
            if "next" not in answer.links:
                break
            answer = await unprojected.client.get(answer.links["next"]["url"])
        assert versions == list(range(1, last + 1))


async def test_trades_are_the_fills_that_count(service: ReadService) -> None:
    desk = service.desk
    with committed(service):
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
    page = await service.get("/trades", limit=1)
    assert [one["exec_id"] for one in (await service.client.get(page.links["next"]["url"])).json()] == ["e1"]


def desk_price(text: str) -> Decimal:
    return Decimal(text)


async def test_the_book_adds_up_what_is_open_at_each_price(service: ReadService) -> None:
    desk = service.desk
    with committed(service):
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


async def test_there_is_no_book_of_what_does_not_trade(shared: ReadService) -> None:
    answer = await shared.get("/books/NOPE")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Symbol: NOPE is not supported")


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


async def test_a_lost_database_connection_is_replaced(service: ReadService) -> None:
    with committed(service):
        service.desk.place()
    assert len(ids(await service.get("/orders"))) == 1
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'orders %'"
        )
    with committed(service):
        service.desk.place()
    assert len(ids(await service.get("/orders"))) == 2


async def test_without_a_database_reads_are_refused_for_now() -> None:
    nowhere = "postgresql://orders@127.0.0.1:9/orders"
    desk = TradingDesk(MemoryEventStore())
    desk.place()
    async with read_service(nowhere, store=desk.store) as service:
        answer = await service.get("/orders", wait_ms=0)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "does not answer" in answer.json()["detail"]


async def test_the_lag_of_each_projection_and_whether_it_is_followed(unprojected: ReadService) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()
        await service.get("/orders", min_position=1)
        await service.get("/trades", min_position=1)
        lags = await service.side.reads.lags()
        assert [(one.projection, one.position, one.lag_events, one.followed) for one in lags] == [
            (projection.name, 1, 0, True) for projection in PROJECTIONS
        ]
    service.desk.place()
    status = (await service.side.reads.lags())[0]
    assert (status.projection, status.lag_events, status.followed) == (ORDER_STATUS.name, 1, False)
