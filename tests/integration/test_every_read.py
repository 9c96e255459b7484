"""Every GET route of the API process, found in its route table, keeps its word about positions."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from order_service.bootstrap import build_api
from order_service.configuration.settings import load_settings
from orders.eventstore.postgres import PostgresEventStore
from orders.http import POSITION_HEADER
from projections.api import documentation as doc
from tests.support.operations_service import keeping_duties
from tests.support.read_service import projecting, wrong_fields
from tests.support.trading_desk import TradingDesk

pytestmark = pytest.mark.anyio

NO_READS = {"/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/asyncapi.json", "/events", "/ws"} | {
    "/orders/batch"
}
"""What tells of the process, documents, the feed, which begins where it is asked to, and what is no order."""


class Service:
    def __init__(self, app: Litestar, http: httpx.AsyncClient, desk: TradingDesk, order_id: UUID) -> None:
        self.app = app
        self.http = http
        self.desk = desk
        self._order_id = order_id

    def reads(self) -> list[str]:
        """The paths of all reads."""
        templates = {
            route.path_format
            for route in self.app.routes
            if isinstance(route, HTTPRoute) and "GET" in route.methods and not route.path.startswith("/docs")
        }
        return sorted(map(self.named, templates - NO_READS))

    def named(self, path: str) -> str:
        """The path with an order and a symbol that there are."""
        return path.replace("{order_id}", str(self._order_id)).replace("{symbol}", "EURUSD")

    async def get(self, path: str, **params: object) -> httpx.Response:
        return await self.http.get(path, params={name: str(value) for name, value in params.items()})


@pytest.fixture(scope="module")
async def service(module_database_url: str) -> AsyncIterator[Service]:
    """An API process whose tables hold the log up to position 2, and stand still since; the log ends at 3."""
    app = build_api(load_settings({"DATABASE_URL": module_database_url}))
    store = PostgresEventStore(module_database_url)
    desk = TradingDesk(store)
    transport = httpx.ASGITransport(app=cast(Any, app))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        order_id = desk.place("EURUSD", 10, "1.1")
        desk.fill(order_id, 4)
        service = Service(app, http, desk, order_id)
        with projecting(store, module_database_url), keeping_duties(module_database_url):
            for path in service.reads():
                answer = await service.get(path, min_position=2)
                assert (answer.status_code, answer.headers[POSITION_HEADER]) == (200, "2"), path
        desk.fill(order_id, 6)
        yield service
    store.close()


async def test_the_reads_are_those_of_the_contract_at_least(service: Service) -> None:
    shown = {path.replace(service.named("{order_id}"), "{id}") for path in service.reads()}
    assert shown >= {
        *("/orders", "/order", "/orders/{id}", "/order/{id}", "/orders/{id}/events", "/order/{id}/events"),
        *("/trades", "/books/EURUSD", "/instruments"),
        *("/ops/parked", "/ops/workers", "/ops/alerts", "/ops/projections"),
    }


async def test_a_position_beyond_the_log_is_refused_by_every_read(service: Service) -> None:
    for path in service.reads():
        assert wrong_fields(await service.get(path, min_position=4)) == ["min_position"], path
        assert wrong_fields(await service.get(path, min_position="x", wait_ms=5001)) == ["min_position", "wait_ms"], (
            path
        )


async def test_no_read_passes_off_something_older_than_was_asked_for(service: Service) -> None:
    """A list of a table that stands still is refused; what the log itself tells needs no table."""
    refused = set()
    for path in service.reads():
        answer = await service.get(path, min_position=3, wait_ms=20)
        if answer.status_code == 200:
            assert int(answer.headers[POSITION_HEADER]) >= 3, path
        else:
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1"), path
            refused.add(path)
    assert refused >= {"/orders", "/trades", "/books/EURUSD", "/ops/parked", "/ops/alerts"}


async def test_without_waiting_every_read_answers_with_what_is_there(service: Service) -> None:
    for path in service.reads():
        answer = await service.get(path, min_position=3, wait_ms=0)
        assert answer.status_code == 200, path
        assert 2 <= int(answer.headers[POSITION_HEADER]) <= 3, path


async def test_operators_see_what_is_held_while_followers_stand_still(service: Service) -> None:
    for path in service.reads():
        if path.startswith("/ops/"):
            assert (await service.get(path)).status_code == 200, path
    assert (await service.get("/ops/parked")).headers[POSITION_HEADER] == "2"
    assert (await service.get("/ops/alerts")).headers[POSITION_HEADER] == "2"


def parameters(document: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    for path, operations in document["paths"].items():
        if "get" in operations and path not in NO_READS:
            yield path, {one["name"] for one in operations["get"].get("parameters", [])}


async def test_the_document_shows_both_parameters_on_every_read(service: Service) -> None:
    document = (await service.http.get("/openapi.json")).json()
    shown = dict(parameters(document))
    assert len(shown) >= 13
    for path, names in shown.items():
        assert {one.name for one in doc.FRESHNESS} <= names, path


async def test_the_document_names_the_headers_of_every_read(service: Service) -> None:
    document = (await service.http.get("/openapi.json")).json()
    templates = {path: service.named(path) for path in document["paths"]}
    for template, path in templates.items():
        if path not in service.reads():
            continue
        answers = document["paths"][template]["get"]["responses"]
        for params in ({"wait_ms": 0}, {"wait_ms": 0, "limit": 1}, {"min_position": 3, "wait_ms": 20}, {"sort": "up"}):
            assert_named(answers, await service.get(path, **params))


@pytest.mark.parametrize(
    ("condition", "as_of", "status"), [('"3"', {}, 304), ('"2"', {}, 200), ('"2"', {"as_of": 2}, 304)]
)
async def test_the_document_names_the_headers_of_a_conditional_read(
    service: Service, condition: str, as_of: dict[str, int], status: int
) -> None:
    document = (await service.http.get("/openapi.json")).json()
    answers = document["paths"]["/orders/{order_id}"]["get"]["responses"]
    path = service.named("/orders/{order_id}")
    answer = await service.http.get(path, params=as_of, headers={"If-None-Match": condition})
    assert answer.status_code == status
    assert_named(answers, answer)


async def test_the_document_names_the_headers_of_every_write(service: Service) -> None:
    paths = (await service.http.get("/openapi.json")).json()["paths"]
    market = {"symbol": "EURUSD", "quantity": 10, "client_order_id": "k"}
    placing = [await service.http.post("/orders", json=body) for body in (market, market, {**market, "quantity": 9})]
    assert [answer.status_code for answer in placing] == [201, 200, 409]
    for answer in placing:
        assert_named(paths["/orders"]["post"]["responses"], answer)
    path = placing[0].headers["Location"]
    for method, status in (("PUT", 200), ("PATCH", 200), ("DELETE", 200), ("DELETE", 400)):
        answer = await service.http.request(method, path, json={"quantity": 20} if method.startswith("P") else None)
        assert answer.status_code == status, answer.text
        assert_named(paths["/orders/{order_id}"][method.lower()]["responses"], answer)


TOLD = {"Orders-Position", "ETag", "Link", "Location", "Idempotent-Replayed", "Retry-After", "X-Trace-Id"}


def assert_named(answers: dict[str, Any], answer: httpx.Response) -> None:
    """The answer has the headers that its status must have by the document, and of TOLD no others."""
    named = answers[str(answer.status_code)]["headers"]
    has = {name for name in TOLD if name in answer.headers}
    assert has <= set(named), f"{answer.request.url}: {has - set(named)} of {answer.status_code}"
    must = {name for name, header in named.items() if header.get("required")}
    assert must <= has, f"{answer.request.url}: no {must - has} with {answer.status_code}"
