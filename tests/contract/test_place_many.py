"""What the Python client promises of many orders placed together, held by both of its forms over real connections."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from order_client import Conflict, InDoubt, Invalid, UnexpectedAnswer
from order_client.resources import Order
from tests.support.client_forms import FORMS, Form, client_form
from tests.support.client_talks import shown_order
from tests.support.scripted_api import DROPPED, SILENT, ScriptedApi, scripted_api

pytestmark = pytest.mark.anyio

ORDERS: list[dict[str, Any]] = [
    {"symbol": "EURUSD", "quantity": 10, "client_order_id": "a", "limit_price": None},
    {"symbol": "EURUSD", "quantity": 0},
]
TAKEN = {"type": "urn:problem-type:key-reused", "title": "t", "status": 409, "detail": "taken"}
WRONG = {"type": "t", "title": "t", "status": 422, "detail": "no", "errors": [{"field": "quantity", "message": "no"}]}


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        yield script


@pytest.fixture(params=FORMS)
async def client(request: pytest.FixtureRequest, api: ScriptedApi) -> AsyncIterator[Form]:
    async with client_form(request.param, api.url) as client:
        yield client


async def test_each_order_has_its_result_in_order_though_connections_are_lost(client: Form, api: ScriptedApi) -> None:
    told = [{"status": 201, "order": shown_order(position=7)}, {"status": 422, "problem": WRONG}]
    api.answers(200, DROPPED).answers(200, told, Orders_Position="7")
    placed, refused = await client.call("place_many", ORDERS)
    assert isinstance(placed, Order)
    assert isinstance(refused, Invalid)
    assert [(error.field, error.message) for error in refused.errors] == [("quantity", "no")]
    assert client.position == 7
    (method, path, body), again = api.asked
    assert (method, path, body) == again
    assert path == "/orders/batch"
    assert body["orders"][0] == {"symbol": "EURUSD", "quantity": 10, "client_order_id": "a"}
    assert body["orders"][1]["client_order_id"] == refused.client_order_id


async def test_a_repeat_is_its_order_and_a_taken_key_a_conflict(client: Form, api: ScriptedApi) -> None:
    api.answers(200, [{"status": 200, "order": shown_order()}, {"status": 409, "problem": TAKEN}])
    placed, taken = await client.call("place_many", ORDERS)
    assert isinstance(placed, Order)
    assert isinstance(taken, Conflict)


async def test_many_orders_without_an_answer_are_in_doubt_with_their_keys(client: Form, api: ScriptedApi) -> None:
    api.answers(200, SILENT)
    with pytest.raises(InDoubt) as told:
        await client.call("place_many", ORDERS, timeout_s=1.0)
    first, second = told.value.client_order_ids
    assert (first, len(second)) == ("a", 36)


async def test_a_batch_that_is_refused_whole_is_an_error(client: Form, api: ScriptedApi) -> None:
    api.answers(422, {"detail": "Orders must have at least one order"}).answers(200, [])
    with pytest.raises(Invalid, match="at least one order"):
        await client.call("place_many", [])
    with pytest.raises(UnexpectedAnswer, match="0 results for 2 orders"):
        await client.call("place_many", ORDERS)
