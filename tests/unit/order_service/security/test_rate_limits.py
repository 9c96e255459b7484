"""How often an account may ask: what it is told, what a batch costs, and who is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, Request, get, post
from litestar.exceptions import TooManyRequestsException

from order_service.api.docs_pages import ASSETS_PATH
from order_service.api.problem_details import Problems
from order_service.configuration.rate_settings import RATE_NAMES, Rates, checked_rates
from order_service.security import rate_limits
from order_service.security.principal import Principal
from order_service.security.rate_limits import Rate, RateLimits
from orders.eventstore.memory import MemoryEventStore
from orders.http import COST
from tests.support.command_service import EURUSD, command_service

pytestmark = pytest.mark.anyio

TOO_MANY = "More than 0.01 orders a second"
ANNA, BERT = ("account", "anna"), ("account", "bert")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def refused() -> Iterator[dict[str, str]]:
    """The headers of the refusal."""
    headers: dict[str, str] = {}
    with pytest.raises(TooManyRequestsException) as caught:
        yield headers
    headers.update(caught.value.headers or {})


def test_a_quiet_account_has_a_seconds_worth_at_once_and_then_its_rate(clock: Clock) -> None:
    rate = Rate("orders", 10.0, clock)
    for _ in range(10):
        rate.take(ANNA)
    with refused() as headers:
        rate.take(ANNA)
    assert headers == {"RateLimit-Policy": '"orders";q=10;w=1', "RateLimit": '"orders";r=0;t=1', "Retry-After": "1"}
    clock.now += 0.1
    rate.take(ANNA)


def test_what_is_refused_costs_nothing(clock: Clock) -> None:
    rate = Rate("reads", 0.5, clock)
    rate.take(ANNA)
    for _ in range(100):
        with refused() as headers:
            rate.take(ANNA)
    assert headers["Retry-After"] == "2"
    clock.now += 2.0
    rate.take(ANNA)


def test_an_account_waits_for_its_own_only(clock: Clock) -> None:
    rate = Rate("orders", 1.0, clock)
    rate.take(ANNA)
    rate.take(BERT)
    rate.take(("address", "anna"))
    with refused():
        rate.take(ANNA)


def test_a_batch_is_let_in_with_one_token_and_owes_the_rest(clock: Clock) -> None:
    rate = Rate("orders", 100.0, clock)
    rate.take(ANNA)
    rate.take_more(ANNA, 999)
    assert rate.headers(ANNA)["RateLimit"] == '"orders";r=0;t=10'
    with refused() as headers:
        rate.take(ANNA)
    assert headers["Retry-After"] == "10"
    clock.now += 9.01
    rate.take(ANNA)


def test_what_comes_in_beside_a_batch_that_owes_is_refused_and_has_its_token_back(clock: Clock) -> None:
    rate = Rate("orders", 10.0, clock)
    rate.take(ANNA)
    rate.take(ANNA)
    rate.take_more(ANNA, 28)
    with refused() as headers:
        rate.take_more(ANNA, 28)
    assert headers == {"Retry-After": "2"}
    assert rate.headers(ANNA)["RateLimit"] == '"orders";r=0;t=3'
    clock.now += 2.0
    rate.take(ANNA)


def test_who_has_been_quiet_is_forgotten_and_the_others_are_not(clock: Clock) -> None:
    rate = Rate("orders", 1.0, clock)
    for number in range(1_000):
        rate.take(("account", str(number)))
        clock.now += 0.1
    assert len(rate) < 15


def test_more_clients_than_the_bound_are_not_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "MAX_RATED_CLIENTS", 50)
    rate = Rate("orders", 1.0, clock)
    for number in range(1_000):
        rate.take(("address", str(number)))
    assert len(rate) == 50


@pytest.mark.parametrize(
    ("given", "required", "expected"),
    [
        (("", ""), False, Rates(None, None)),
        (("", ""), True, Rates(1_000.0, 1_000.0)),
        (("0", "0"), True, Rates(None, None)),
        (("2.5", ""), False, Rates(2.5, None)),
    ],
)
def test_the_settings_say_a_rate_or_none(given: tuple[str, str], required: bool, expected: Rates) -> None:
    wrong: list[str] = []
    raw = dict(zip(RATE_NAMES, given, strict=True))
    assert checked_rates(raw, lambda name, what: wrong.append(name), required=required) == expected
    assert wrong == []


@pytest.mark.parametrize("given", ["many", "-1", "1e9", "nan"])
def test_a_wrong_rate_is_named(given: str) -> None:
    wrong: list[str] = []
    checked_rates(dict.fromkeys(RATE_NAMES, given), lambda name, what: wrong.append(name), required=False)
    assert wrong == list(RATE_NAMES)


@get("/orders")
async def list_orders() -> list[str]:
    return []


@post("/orders")
async def place(request: Request[Any, Any, Any]) -> None:
    if COST in request.scope["state"]:
        request.scope["state"][COST](int(request.headers.get("orders", "1")))


@get("/health/live")
async def live() -> None: ...


@asynccontextmanager
async def limited(orders: Rate | None, reads: Rate | None) -> AsyncIterator[httpx.AsyncClient]:
    """An app in which the header `account` says who asks."""

    def known(app: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(scope: Any, receive: Any, send: Any) -> None:
            if (account := dict(scope["headers"]).get(b"account")) is not None:
                scope["user"] = Principal(account.decode(), frozenset())
            await app(scope, receive, send)

        return handle

    app = Litestar(
        [list_orders, place, live],
        middleware=[known, lambda app: RateLimits(app, orders, reads)],
        exception_handlers=cast(Any, Problems().handlers()),
        openapi_config=None,
    )
    transport = httpx.ASGITransport(cast(Any, app))
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
        yield client


async def test_every_answer_tells_what_is_left_and_a_refusal_when_to_come_back(clock: Clock) -> None:
    async with limited(Rate("orders", 2.0, clock), None) as http:
        first, second, third = [await http.post("/orders", headers={"account": "anna"}) for _ in range(3)]
        other = await http.post("/orders", headers={"account": "bert"})
    assert (first.status_code, first.headers["ratelimit"]) == (201, '"orders";r=1;t=1')
    assert second.headers["ratelimit"] == '"orders";r=0;t=1'
    assert (third.status_code, third.headers["retry-after"]) == (429, "1")
    assert third.headers["ratelimit-policy"] == '"orders";q=2;w=1'
    assert third.headers["content-type"] == "application/problem+json"
    assert third.json()["detail"] == "More than 2 orders a second"
    assert other.status_code == 201


async def test_reads_and_writes_are_counted_apart_and_health_is_not(clock: Clock) -> None:
    async with limited(Rate("orders", 1.0, clock), Rate("reads", 1.0, clock)) as http:
        answers = [await http.post("/orders"), await http.get("/orders"), await http.get("/orders")]
        health = [await http.get("/health/live") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201, 200, 429]
    assert {answer.status_code for answer in health} == {200}
    assert "ratelimit" not in health[0].headers


@pytest.mark.parametrize("path", ["/docs", f"{ASSETS_PATH}/swagger-ui.css", "/openapi.json", "/asyncapi.json"])
async def test_documents_are_reads_too(path: str) -> None:
    store = MemoryEventStore()
    async with command_service(store, store.hints, rates=Rates(reads_per_s=0.01)) as service:
        answers = [await service.http.get(path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_a_batch_counts_its_orders(clock: Clock) -> None:
    async with limited(Rate("orders", 10.0, clock), None) as http:
        batch = await http.post("/orders", headers={"orders": "30"})
        after = await http.post("/orders")
    assert batch.headers["ratelimit"] == '"orders";r=0;t=3'
    assert (after.status_code, after.headers["retry-after"]) == (429, "3")


async def test_the_real_batch_counts_what_is_in_it_and_one_order_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a rate so slow that the test's own time is nothing."""
    monkeypatch.setattr(rate_limits, "RATE_BURST_S", 1_000.0)
    store = MemoryEventStore()
    async with command_service(store, store.hints, rates=Rates(orders_per_s=0.01)) as service:
        batch = await service.http.post("/orders/batch", json={"orders": [EURUSD] * 6})
        order = await service.http.post("/orders", json=EURUSD)
        refused = [await service.http.post("/orders", json=EURUSD) for _ in range(8)][-1]
    assert (batch.status_code, batch.headers["ratelimit"]) == (200, '"orders";r=4;t=600')
    assert order.headers["ratelimit"] == '"orders";r=3;t=700'
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert len(store.read_log(after=0, limit=100)) <= 10, "what is refused has done nothing"


async def test_of_batches_at_once_those_are_let_in_for_which_there_are_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first is still being written, the next ones find what it owes."""
    monkeypatch.setattr(rate_limits, "RATE_BURST_S", 1_000.0)
    store = MemoryEventStore()
    async with command_service(store, store.hints, rates=Rates(orders_per_s=0.01)) as service:
        batch = {"orders": [EURUSD] * 7}
        answers = await asyncio.gather(*(service.http.post("/orders/batch", json=batch) for _ in range(6)))
        late = await service.http.post("/orders", json=EURUSD)
    placed = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(placed), len(refused)) == (2, 4), "of 10 tokens the first takes 7, and the second owes 4"
    for answer in refused:
        assert 100 <= int(answer.headers["retry-after"]) <= 700
        assert (answer.json()["detail"], len(answer.headers.get_list("ratelimit"))) == (TOO_MANY, 1)
    assert late.headers["ratelimit"] == '"orders";r=0;t=1400', "what was refused has given its token back"
    assert len(store.read_log(after=0, limit=1_000)) == 14
