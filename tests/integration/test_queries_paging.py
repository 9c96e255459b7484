"""Pages of lists while orders and fills arrive all the time: nothing twice, nothing left out."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.read_service import ReadService, read_service
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def traded(module_database_url: str) -> AsyncIterator[ReadService]:
    """Sixty orders, a fill of each, and a busy market beside it."""
    async with read_service(module_database_url) as service:
        with service.projecting():
            with service.committing():
                for number in range(60):
                    order_id = service.desk.place(
                        ("EURUSD", "USDCAD")[number % 2], side=("buy", "sell")[number % 3 > 0]
                    )
                    service.desk.fill(order_id, 100 if number % 4 else 10)
            yield service


@contextmanager
def busy(service: ReadService) -> Iterator[None]:
    """Orders are placed and filled in another thread, as fast as it goes."""
    over, began = threading.Event(), threading.Event()

    def trade() -> None:
        desk = TradingDesk(service.store)
        while not over.is_set():
            desk.fill(desk.place("EURUSD"), 50)
            desk.fill(desk.place("USDCAD", side="sell"), 100)
            began.set()

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        assert began.wait(10)
        yield
    finally:
        over.set()
        thread.join(10)


async def everything(service: ReadService, path: str, key: str) -> list[Any]:
    found = []
    while path:
        answer = await service.client.get(path)
        assert answer.status_code == 200, answer.text
        found += [one[key] for one in answer.json()]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    return found


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/orders?limit=7", "id"),
        ("/orders?limit=7&symbol=USDCAD&side=sell", "id"),
        ("/orders?limit=3&status=Executed&side=buy", "id"),
        ("/trades?limit=7", "position"),
        ("/trades?limit=7&symbol=USDCAD", "position"),
    ],
)
async def test_what_was_there_before_is_shown_once_whatever_arrives(traded: ReadService, path: str, key: str) -> None:
    before = await everything(traded, f"{path}&min_position={traded.store.head()}", key)
    assert len(before) >= 10
    with busy(traded):
        seen = await everything(traded, path, key)
    assert len(seen) == len(set(seen))
    assert seen[-len(before) :] == before


async def test_trades_and_books_hold_what_this_process_has_just_committed(traded: ReadService) -> None:
    for number in range(1, 11):
        with traded.committing():
            order_id = traded.desk.place("CADUSD", 10, "1.1")
            traded.desk.fill(order_id, 4, exec_id=f"own-{number}")
        newest, *_ = (await traded.get("/trades", limit=1)).json()
        assert newest["exec_id"] == f"own-{number}"
        (bid,) = (await traded.get("/books/CADUSD")).json()["bids"]
        assert (bid["quantity"], bid["orders"]) == (6 * number, number)
