"""The lists that projections bring along: positions and daily summaries over HTTP."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import httpx
import msgspec
import pytest

from orders.domain import commands as c
from orders.domain.instruments import Instrument, catalogue_of
from orders.domain.values import Side
from orders.paging import cursor_of
from projections.queries import ListQuery
from tests.support.read_service import ReadService, read_service, wrong_fields
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[ReadService]:
    async with read_service(database_url) as service:
        with service.projecting():
            yield service


def summaries(answer: httpx.Response) -> dict[tuple[str, str], dict[str, object]]:
    assert answer.status_code == 200, answer.text
    return {(one["day"], one["symbol"]): one for one in answer.json()}


async def test_positions_are_what_was_bought_and_sold_without_what_was_taken_back(service: ReadService) -> None:
    desk = service.desk
    with service.committing():
        desk.fill(desk.place("EURUSD", 10), 10, "1.10001")
        sold = desk.place("EURUSD", 30, side=Side.SELL)
        desk.fill(sold, 25, "1.2", "e1")
        desk.do(sold, c.RecordCorrection, exec_id="c1", ref_exec_id="e1", quantity=24, price=Decimal("1.25"))
        busted = desk.place("USDCAD", 5)
        desk.fill(busted, 5, "1.3", "e1")
        desk.do(busted, c.RecordBust, exec_id="b1", ref_exec_id="e1")
        desk.place("USDEUR", 5)
    answer = await service.get("/positions")
    assert int(answer.headers["Orders-Position"]) == service.store.head()
    assert answer.json() == [
        {
            "symbol": "EURUSD",
            "net_quantity": -14,
            "bought_quantity": 10,
            "bought_notional": "11.0001",
            "sold_quantity": 24,
            "sold_notional": "30",
            "position": 5,
        },
        {
            "symbol": "USDCAD",
            "net_quantity": 0,
            "bought_quantity": 0,
            "bought_notional": "0",
            "sold_quantity": 0,
            "sold_notional": "0",
            "position": 8,
        },
    ]
    assert [one["symbol"] for one in (await service.get("/positions", symbol="USDCAD")).json()] == ["USDCAD"]


async def test_a_daily_summary_tells_orders_fills_and_prices_of_a_day(service: ReadService) -> None:
    with service.committing():
        desk = service.desk
        orders = [desk.place(quantity=100) for _ in range(4)]
        for order_id, price in zip(orders, ("1.3", "1.1", "1.5", "1.2"), strict=True):
            desk.fill(order_id, 10, price)
        desk.cancel(orders[0])
        desk.do(orders[0], c.RecordCanceled)
        desk.fill(orders[1], 90, "1.2")
    (day,) = (await service.get("/daily-summaries")).json()
    assert day == {
        "day": "2026-11-02",
        "symbol": "EURUSD",
        "orders_placed": 4,
        "orders_executed": 1,
        "orders_canceled": 1,
        "orders_rejected": 0,
        "orders_expired": 0,
        "fills": 5,
        "traded_quantity": 130,
        "traded_notional": "159",
        "average_price": "1.22307692",
        "open_price": "1.30000",
        "high_price": "1.50000",
        "low_price": "1.10000",
        "close_price": "1.20000",
        "position": service.store.head(),
    }


async def test_a_bust_or_a_correction_changes_the_day_of_its_fill(service: ReadService) -> None:
    desk = TradingDesk(service.store, pace=timedelta(hours=12))
    with service.committing():
        first, second = desk.place(quantity=10), desk.place(quantity=10)  # 21:30, and 09:30 on the 3rd
        desk.fill(first, 10, "1.1", "e1")  # 21:30 on the 3rd
        desk.fill(second, 10, "1.4", "e1")  # on the 4th
        desk.do(first, c.RecordCorrection, exec_id="c1", ref_exec_id="e1", quantity=8, price=Decimal("1.2"))
        desk.do(second, c.RecordBust, exec_id="b1", ref_exec_id="e1")  # on the 5th
        desk.do(first, c.RecordCorrection, exec_id="c2", ref_exec_id="c1", quantity=10, price=Decimal("1.3"))
    days = summaries(await service.get("/daily-summaries"))
    told = {
        day: [one[name] for name in ("orders_placed", "orders_executed", "fills", "traded_notional", "close_price")]
        for (day, _), one in days.items()
    }
    assert told == {
        "2026-11-02": [1, 0, 0, "0", None],
        "2026-11-03": [1, 0, 1, "13", "1.30000"],
        "2026-11-04": [0, 0, 0, "0", None],
        "2026-11-05": [0, 1, 0, "0", None],
    }


@pytest.mark.parametrize("path", ["/positions", "/daily-summaries"])
async def test_pages_follow_one_another_and_other_accounts_are_not_shown(service: ReadService, path: str) -> None:
    with service.committing():
        TradingDesk(service.store, account="other").place("USDEUR")
        for symbol in ("EURUSD", "USDCAD", "CADUSD"):
            service.desk.fill(service.desk.place(symbol), 1)
    whole = (await service.get(path)).json()
    assert len(whole) == 3
    page = await service.get(path, limit=2)
    rest = await service.client.get(page.links["next"]["url"])
    assert (len(page.json()), page.json() + rest.json(), rest.links) == (2, whole, {})


async def test_no_row_is_lost_between_pages_whatever_characters_a_symbol_has(service: ReadService) -> None:
    symbols = ["S&P 500", "S&P 400", "S&P", "EUR/USD"]
    desk = TradingDesk(service.store, catalogue=catalogue_of(Instrument(symbol=symbol) for symbol in symbols))
    with service.committing():
        for symbol in symbols:
            desk.place(symbol)
    seen, path = [], "/daily-summaries?limit=1"
    while path:
        answer = await service.client.get(path)
        seen += [one["symbol"] for one in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == symbols


@pytest.mark.parametrize("path", ["/positions", "/daily-summaries"])
async def test_wrong_parameters_of_a_list_are_named(service: ReadService, path: str) -> None:
    assert wrong_fields(await service.get(path, limit=0, symbol="?", side="buy")) == ["symbol", "limit", "side"]
    filters = ListQuery(account="local")
    forged = [cursor_of(7, filters), cursor_of("\0", filters), base64.b64encode(msgspec.json.encode([7])).decode()]
    for cursor in forged:
        assert wrong_fields(await service.get(path, cursor=cursor)) == ["cursor"]
    assert (await service.get(path, cursor=cursor_of("no day", filters))).status_code == 200
