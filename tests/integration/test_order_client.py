"""The Python client against the whole service: every call, and a stream over a killed and a restarted API."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from order_client import BookMessage, Conflict, Invalid, NotFound, OrderClient, OrderEnded, OrderMessage, TradeMessage
from tests.support.client_forms import FORMS, Form, client_form
from tests.support.running_service import ROOT, RunningService, running_service
from tests.support.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.anyio

PAGE = ROOT / "docs/how-to/use-the-python-client.md"
LOW = Decimal("0.50000")  # far below the market: it rests


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running_service() as service:
        yield service


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def client(form: str, service: RunningService) -> AsyncIterator[Form]:
    async with client_form(form, service.url) as client:
        yield client


async def test_an_order_through_all_of_its_life(client: Form) -> None:
    placed = await client.call("place", symbol="EURUSD", quantity=10, limit_price=LOW)
    assert (placed.status, placed.limit_price, placed.side) == ("Placed", LOW, "buy")
    again = await client.call(
        "place", symbol="EURUSD", quantity=10, limit_price="0.5", client_order_id=placed.client_order_id
    )
    assert again.order_id == placed.order_id

    async def acked() -> bool:
        return bool((await client.call("get", placed.order_id)).delivery == "acked")

    await wait_until_async(acked, what="the exchange to have it")
    replaced = await client.call("replace", placed.order_id, quantity=20)
    assert (replaced.order.quantity, replaced.pending) == (20, False)
    assert (await client.call("get", placed.order_id, as_of=placed.position)).quantity == 10
    assert any(level.price == LOW for level in (await client.call("book", "EURUSD")).bids)
    canceled = await client.call("cancel", placed.order_id)
    assert (canceled.order.status, canceled.pending) == ("Canceled", False)
    events = await client.rows("history", placed.order_id)
    assert [events[0].event, events[-1].event] == ["OrderPlaced", "OrderCanceled"]
    assert events[-1].evidence is not None
    assert (events[-1].changed["status"].before, events[-1].changed["status"].after) == ("Placed", "Canceled")
    newest = await client.rows("list", limit=1)
    assert [(order.order_id, order.status) for order in newest] == [(placed.order_id, "Canceled")]


async def test_refusals_have_their_kind(client: Form) -> None:
    order = await client.call("place", symbol="EURUSD", quantity=10, limit_price=LOW, client_order_id=None)
    await client.call("cancel", order.order_id)
    with pytest.raises(OrderEnded, match="already been canceled"):
        await client.call("cancel", order.order_id)
    with pytest.raises(Conflict):
        await client.call("place", symbol="EURUSD", quantity=11, client_order_id=order.client_order_id)
    with pytest.raises(NotFound, match="does not exist"):
        await client.call("get", "nobody's")
    with pytest.raises(Invalid) as wrong:
        await client.call("place", symbol="EURUSD", quantity=0)
    assert [error.field for error in wrong.value.errors] == ["quantity"]
    assert {one.symbol for one in await client.call("instruments")} >= {"EURUSD", None}


async def test_what_a_client_wrote_is_in_the_list_that_it_asks_for_next(client: Form) -> None:
    for _ in range(10):
        order = await client.call("place", symbol="USDCAD", quantity=10, limit_price=LOW)
        assert [one.order_id for one in await client.rows("list", limit=1)] == [order.order_id]


async def test_trades_and_books_and_orders_in_one_stream(client: Form) -> None:
    channels = ("orders", "trades", "books")
    async with client.stream(channels=channels, symbol="EURUSD") as stream:
        order = await client.call("place", symbol="EURUSD", quantity=10)
        await client.call("place", symbol="EURUSD", quantity=10, limit_price=LOW)
        told: list[Any] = []
        while not all(any(isinstance(one, kind) for one in told) for kind in (TradeMessage, BookMessage)):
            told += await stream.take(1)
    (fill,) = [one for one in told if isinstance(one, TradeMessage) and one.order_id == order.order_id]
    (trade,) = await client.rows("trades", order_id=order.order_id)
    assert (fill.exec_id, fill.quantity, fill.price) == (trade.exec_id, trade.quantity, trade.price)
    executed = [one for one in told if isinstance(one, OrderMessage) and one.position == fill.position]
    assert [(one.exec_id, one.status) for one in executed] == [(fill.exec_id, "Executed")]


def test_the_how_to_page_does_what_it_says(service: RunningService, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = "\n".join(blocks).replace("http://127.0.0.1:8000", service.url)
    exec(compile(code, PAGE, "exec"), {"__name__": "page"})
    said = capsys.readouterr().out
    words_of_page = ("20 done", "Canceled done", "Placed then, Canceled now", "must be greater than zero", "3 orders")
    for words in (*words_of_page, "refused: Quantity must be greater than zero"):
        assert words in said, said


def test_the_example_goes_on_where_it_stopped(service: RunningService, tmp_path: Path) -> None:
    def lines_of_a_run(orders: int) -> list[str]:
        command = [sys.executable, ROOT / "examples/follow_orders.py", service.url, tmp_path / "position"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                lines = [process.stdout.readline() for _ in range(orders)]
                wait_until(
                    lambda: (tmp_path / "position").exists() and _position(lines[-1]) == kept(), what="its place"
                )
                process.send_signal(signal.SIGINT)
                rest, errors = process.communicate(timeout=10)
            finally:
                process.kill()
        assert (rest, errors) == ("", "")
        return lines

    def kept() -> int:
        return int((tmp_path / "position").read_text())

    with OrderClient(service.url) as client:
        orders = [client.place(symbol="USDCAD", quantity=10, limit_price=LOW) for _ in range(2)]
        (tmp_path / "position").write_text(str(orders[0].position - 1))
        assert [_position(line) for line in lines_of_a_run(2)] == [order.position for order in orders]
        orders = [client.place(symbol="USDCAD", quantity=10, limit_price=LOW) for _ in range(2)]
        assert [_position(line) for line in lines_of_a_run(2)] == [order.position for order in orders]


def _position(line: str) -> int:
    return int(line.split()[0])


async def test_clients_go_on_over_an_api_that_is_killed(service: RunningService) -> None:
    """Meanwhile they place orders, each once; their streams tell each once, in order. Both forms at once: an API takes
    seconds to start."""
    half_way = asyncio.Barrier(len(FORMS))

    async def go_on(form: str, symbol: str) -> None:
        async with client_form(form, service.url) as client, client.stream(symbol=symbol) as stream:
            placed = []
            for count in range(12):
                if count == 5 and await half_way.wait() == 0:
                    service.part("api").kill()
                order = await client.call("place", symbol=symbol, quantity=10 + count, limit_price=LOW)
                placed.append((order.order_id, order.position))
            told = await stream.take(len(placed))
            assert [(one.order_id, one.position) for one in told] == placed
            listed = await client.rows("list", symbol=symbol, limit=12)
            assert [order.order_id for order in listed] == [one for one, _ in reversed(placed)]

    await asyncio.gather(*(go_on(form, symbol) for form, symbol in zip(FORMS, ("CADUSD", "USDEUR"), strict=True)))
    await asyncio.to_thread(service.wait_ready)
