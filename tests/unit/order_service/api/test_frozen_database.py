"""What clients hear while the database is frozen: all of them something, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from order_service.api.problem_details import Problem, Problems
from orders.api.problems import DETAILS
from orders.api.problems import PROBLEMS as COMMAND_PROBLEMS
from orders.domain.instruments import BUILT_IN
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from orders.eventstore.read_threads import ReadThreads
from projections.api.problems import PROBLEMS as READ_PROBLEMS
from projections.api.routes import query_router
from projections.read_side import read_side
from tests.support.command_service import EURUSD, CommandService, command_service
from tests.support.trading_desk import OPENING
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

NOWHERE = "postgresql://orders@127.0.0.1:9/orders"
TURN_S = 0.05
SOON_S = 5.0
NOT_PLACED = b'{"message": "Internal server error while placing the order"}'


class FreezingStore(MemoryEventStore):
    """`freeze` holds each read of an order, and of the head, until `thaw`."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self._thawed = Event()
        self._thawed.set()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def read_stream(self, *given: Any, **named: Any) -> list[Recorded]:
        self._hold()
        return super().read_stream(*given, **named)

    def read_last(self, *given: Any, **named: Any) -> Recorded | None:
        self._hold()
        return super().read_last(*given, **named)

    def head(self) -> int:
        self._hold()
        return super().head()

    def _hold(self) -> None:
        self.held += 1
        assert self._thawed.wait(2 * SOON_S)
        self.held -= 1


@asynccontextmanager
async def reads_of(store: FreezingStore, threads: ReadThreads) -> AsyncIterator[httpx.AsyncClient]:
    side = read_side(NOWHERE, NOWHERE, store, BUILT_IN, threads, lambda: 0, lambda: 0, lambda: OPENING)
    app = Litestar(
        [query_router(side.reads, side.order_reads, BUILT_IN, problem=Problem)],
        exception_handlers=cast(Any, Problems(COMMAND_PROBLEMS, READ_PROBLEMS, details=DETAILS).handlers()),
        logging_config=None,
        openapi_config=None,
    )
    transport = httpx.ASGITransport(app=cast(Any, app))
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as http:
        yield http


async def soon(asked: Sequence[asyncio.Task[httpx.Response]]) -> list[httpx.Response]:
    """Those answered within SOON_S; there must be one to each."""
    done, _ = await asyncio.wait(asked, timeout=SOON_S)
    assert len(done) == len(asked), f"{len(asked) - len(done)} of {len(asked)} got no answer"
    return [task.result() for task in asked]


async def frozen(store: FreezingStore, reads: int) -> None:
    async def are_held() -> bool:
        return store.held == reads

    assert await wait_until_async(are_held)


@pytest.mark.parametrize("path", ["", "/events", "?as_of=7", "?min_position=7"])
async def test_reads_of_single_orders_that_wait_behind_a_frozen_database_are_503(path: str) -> None:
    store = FreezingStore()
    store.freeze()
    with ThreadPoolExecutor(2) as executor:
        async with reads_of(store, ReadThreads(executor, most=20, turn_s=TURN_S)) as http:
            asked = [asyncio.create_task(http.get(f"/orders/{uuid4()}{path}")) for _ in range(30)]
            try:
                await frozen(store, 2)
                answers = await soon(asked[2:])
            finally:
                store.thaw()
                held = await asyncio.gather(*asked[:2])
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["retry-after"] for answer in answers)
    told = [(answer.json()["title"], answer.json()["detail"]) for answer in answers]
    assert told[:18] == [("Database unavailable", "The database does not answer; try again")] * 18
    assert told[18:] == [("Overloaded", "Too many requests wait; try again")] * 10
    assert {answer.status_code for answer in held} <= {404, 422}  # they had their turn


@asynccontextmanager
async def frozen_commands(store: FreezingStore) -> AsyncIterator[CommandService]:
    with ThreadPoolExecutor(1) as executor:
        async with command_service(store, store.hints, reads=ReadThreads(executor, turn_s=TURN_S)) as service:
            try:
                yield service
            finally:
                store.thaw()


async def test_a_change_of_an_order_that_cannot_be_loaded_is_503() -> None:
    store = FreezingStore()
    async with frozen_commands(store) as service:
        store.freeze()
        path = f"/orders/{uuid4()}"
        first = asyncio.create_task(service.http.delete(path))
        await frozen(store, 1)
        answers = await soon(
            [
                asyncio.create_task(service.http.delete(path)),
                asyncio.create_task(service.http.put(path, json={"quantity": 1})),
            ]
        )
        store.thaw()
        assert (await first).status_code == 404
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all(answer.headers["retry-after"] for answer in answers)


async def test_an_order_whose_key_cannot_be_looked_up_is_answered_in_exactly_these_words() -> None:
    store = FreezingStore()
    async with frozen_commands(store) as service:
        keyed = {**EURUSD, "client_order_id": "k"}
        await service.http.post("/orders", json=keyed)
        store.freeze()
        first = asyncio.create_task(service.http.post("/orders", json=keyed))
        await frozen(store, 1)
        (second,) = await soon([asyncio.create_task(service.http.post("/orders", json=keyed))])
        store.thaw()
        assert (await first).status_code == 200
    assert (second.status_code, second.content) == (500, NOT_PLACED)
    assert second.headers["retry-after"]


async def test_orders_of_a_batch_that_are_durable_are_told_so_where_the_others_keys_cannot_be_looked_up() -> None:
    store = FreezingStore()
    async with frozen_commands(store) as service:
        keyed = {**EURUSD, "client_order_id": "k"}
        await service.http.post("/orders", json=keyed)
        store.freeze()
        first = asyncio.create_task(service.http.post("/orders", json=keyed))
        await frozen(store, 1)
        (batch,) = await soon([asyncio.create_task(service.http.post("/orders/batch", json=[EURUSD, keyed]))])
        store.thaw()
        await first
    assert batch.status_code == 200, batch.text
    assert [one["status"] for one in batch.json()] == [201, 500]
