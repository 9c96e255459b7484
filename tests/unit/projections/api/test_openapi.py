"""The OpenAPI document shows every route with its parameters and refusals."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from litestar import Litestar

from orders.domain.instruments import BUILT_IN, Catalogue
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.read_threads import ReadThreads
from projections.api.listed_instruments import listed
from projections.api.routes import query_router
from projections.read_side import read_side
from tests.support.trading_desk import OPENING

ROUTES = {
    "/orders": {
        *("status", "symbol", "side", "client_order_id", "placed_after", "placed_before", "limit", "cursor"),
        "as_of",
    },
    "/orders/{order_id}": {"order_id", "as_of", "If-None-Match"},
    "/orders/{order_id}/events": {"order_id", "as_of", "limit", "cursor"},
    "/trades": {"order_id", "symbol", "limit", "cursor"},
    "/books/{symbol}": {"symbol", "levels"},
    "/positions": {"symbol", "limit", "cursor"},
    "/daily-summaries": {"symbol", "limit", "cursor"},
    "/instruments": set(),
}


class Problem(msgspec.Struct):
    detail: str


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with ThreadPoolExecutor(1) as threads:
        url, zero = "postgresql://", lambda: 0
        side = read_side(url, url, MemoryEventStore(), BUILT_IN, ReadThreads(threads), zero, zero, lambda: OPENING)
        router = query_router(side.reads, side.order_reads, BUILT_IN, problem=Problem)
        return Litestar([router]).openapi_schema.to_schema()


@pytest.mark.parametrize("path", ROUTES)
def test_a_route_shows_its_parameters_and_refusals(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["get"]
    assert {one["name"] for one in operation["parameters"]} == ROUTES[path] | {"min_position", "wait_ms"}
    assert {"200", "422"} <= set(operation["responses"])
    problem = operation["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}


def test_a_projections_own_list_shows_its_rows(document: dict[str, Any]) -> None:
    schema = document["paths"]["/positions"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"type": "array", "items": {"$ref": "#/components/schemas/Position"}}
    assert "net_quantity" in document["components"]["schemas"]["Position"]["properties"]


def test_the_singular_is_shown_too(document: dict[str, Any]) -> None:
    assert {"/order", "/order/{order_id}", "/order/{order_id}/events"} <= set(document["paths"])


def test_a_catalogue_without_codes_lists_its_symbols_only() -> None:
    without = Catalogue(symbols=BUILT_IN.symbols, accepts_codes=False)
    assert [one.symbol for one in listed(without)] == ["CADUSD", "EURUSD", "USDCAD", "USDEUR"]
