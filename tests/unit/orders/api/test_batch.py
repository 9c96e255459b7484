"""POST /orders/batch over a store in memory: each order has its own result, and all are one commit."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from orders import handlers
from orders.api import batch_reading
from orders.bounds import MAX_BATCH_BODY_BYTES, MAX_BATCH_ORDERS
from orders.domain.values import order_id_for_key
from orders.eventstore.port import CommitUnknown, EncodedUnit, EventStoreError, StoreOverloaded, StoreUnavailable
from tests.support.command_service import EURUSD, LIMIT, CommandService, command_service
from tests.support.gated_store import GatedStore

pytestmark = pytest.mark.anyio


class UnreadableStore(GatedStore):
    """`reads_fail` makes reads of streams fail, `reads` counts them; `commits` are the appends."""

    reads_fail = False
    reads = 0

    @property
    def commits(self) -> list[list[EncodedUnit]]:
        return self.batches

    def read_stream(self, *given: Any, **named: Any) -> Any:
        self.reads += 1
        if self.reads_fail:
            raise StoreUnavailable("gone")
        return super().read_stream(*given, **named)


@pytest.fixture
def store() -> UnreadableStore:
    store = UnreadableStore()
    store.opened()
    return store


@pytest.fixture
async def service(store: UnreadableStore) -> AsyncIterator[CommandService]:
    async with command_service(store, store.hints) as running:
        yield running


async def post(service: CommandService, orders: Any, **headers: str) -> httpx.Response:
    return await service.http.post("/orders/batch", json=orders, headers=headers)


async def results(service: CommandService, *orders: Any) -> list[dict[str, Any]]:
    answer = await post(service, {"orders": orders})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    assert len(found) == len(orders)
    return found


def keyed(key: str, **terms: Any) -> dict[str, Any]:
    return {**EURUSD, "client_order_id": key, **terms}


async def test_orders_are_placed_in_order_and_in_one_commit(service: CommandService, store: UnreadableStore) -> None:
    answer = await post(service, {"orders": [{**EURUSD, "quantity": quantity} for quantity in range(1, 601)]})
    placed = answer.json()
    assert (answer.status_code, answer.headers["orders-position"]) == (200, "600")
    assert {one["status"] for one in placed} == {201}
    assert [(one["order"]["quantity"], one["order"]["position"]) for one in placed] == [(n, n) for n in range(1, 601)]
    assert [len(units) for units in store.commits] == [600]
    single = await service.http.get("/health/live")
    assert single.status_code == 200


async def test_a_result_shows_the_order_as_post_orders_does(service: CommandService) -> None:
    (one,) = await results(service, keyed("k", limit_price="1.1", side=-1, time_in_force="day"))
    alone = await service.http.post("/orders", json=keyed("k", limit_price="1.1", side=-1, time_in_force="day"))
    assert (alone.status_code, alone.json()) == (200, one["order"])
    assert one["order"]["id"] == str(order_id_for_key("local", "k"))


@pytest.mark.parametrize("order", ["[]", "{}", "[" * 900 + "]" * 900], ids=["lists", "objects", "deep lists"])
async def test_what_has_far_more_parts_than_its_orders_can_have_is_not_read(
    order: str, service: CommandService, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    monkeypatch.setattr(batch_reading, "decode_strictly", decoded.append)
    body = f"[{','.join([order] * (1_900_000 // (len(order) + 1)))}]"
    answer = await service.http.post("/orders/batch", content=body)
    assert decoded == []
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The body has more than 32000 parts: 1000 orders have far fewer"


async def test_an_array_alone_is_the_same(service: CommandService) -> None:
    answer = await post(service, [EURUSD, LIMIT])
    assert [one["status"] for one in answer.json()] == [201, 201]


async def test_wrong_orders_are_refused_as_alone_and_keep_no_other_from_being_placed(
    service: CommandService, store: UnreadableStore
) -> None:
    wrong = [{"symbol": "XXX", "quantity": 0}, {"quantity": "10", "more": 1}, {**EURUSD, "price": "1.123456"}, 5]
    found = await results(service, EURUSD, *wrong, LIMIT)
    assert [one["status"] for one in found] == [201, 422, 422, 422, 422, 201]
    assert store.head() == 2
    for body, one in zip(wrong[:3], found[1:4], strict=True):
        alone = (await service.http.post("/orders", json=body)).json()
        del alone["trace_id"]
        assert one["problem"] == alone
        assert one["problem"]["errors"]
    assert found[4]["problem"]["detail"] == "An order must be a JSON object"
    assert "order" not in found[1]
    assert "problem" not in found[0]


async def test_a_key_twice_in_one_body_is_a_repeat_or_in_conflict(
    service: CommandService, store: UnreadableStore
) -> None:
    found = await results(service, keyed("k"), keyed("k"), keyed("k", quantity=11), keyed("k", symbol="GONE"))
    assert [one["status"] for one in found] == [201, 200, 409, 409]
    assert found[0]["order"] == found[1]["order"]
    assert found[2]["problem"]["type"] == "urn:problem-type:key-reused"
    assert store.head() == 1


async def test_a_key_whose_first_order_is_refused_is_free_for_the_second(service: CommandService) -> None:
    found = await results(service, keyed("k", symbol="GONE"), keyed("k"))
    assert [one["status"] for one in found] == [422, 201]


async def test_a_key_that_named_an_order_before_finds_it(service: CommandService, store: UnreadableStore) -> None:
    first = await service.place(client_order_id="k")
    found = await results(service, keyed("k"), keyed("k", quantity=11), keyed("k", symbol="GONE"), keyed("l"))
    assert [one["status"] for one in found] == [200, 409, 409, 201]
    assert found[0]["order"] == first
    (refused,) = await results(service, keyed("k", symbol="GONE"))
    assert refused["status"] == 409
    assert store.head() == 2


async def test_the_same_batch_again_places_nothing(service: CommandService, store: UnreadableStore) -> None:
    batch = [keyed(f"k-{number}") for number in range(5)]
    first, again = await results(service, *batch), await results(service, *batch)
    assert {one["status"] for one in again} == {200}
    assert [one["order"] for one in again] == [one["order"] for one in first]
    assert store.head() == 5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"orders": []}, "Orders must have at least one order"),
        ([], "Orders must have at least one order"),
        ({"orders": [EURUSD] * (MAX_BATCH_ORDERS + 1)}, "Orders must have at most 1000 orders, not 1001"),
        ({"orders": None}, "Orders must be an array of orders"),
        ("orders", "Orders must be an array of orders"),
        ({}, "Field required"),
    ],
)
async def test_what_is_no_list_of_one_to_a_thousand_orders_is_refused_whole(
    service: CommandService, store: UnreadableStore, body: Any, said: str
) -> None:
    answer = await post(service, body)
    assert (answer.status_code, answer.json()["detail"]) == (422, said)
    assert [error["field"] for error in answer.json()["errors"]] == ["orders"]
    assert store.head() == 0


async def test_more_than_orders_in_the_body_is_refused_whole(service: CommandService, store: UnreadableStore) -> None:
    answer = await post(service, {"orders": [EURUSD], "atomic": True})
    assert (answer.status_code, answer.json()["detail"]) == (422, "Unknown field `atomic`")
    assert store.head() == 0


async def test_a_batch_takes_no_key_of_its_own(service: CommandService, store: UnreadableStore) -> None:
    answer = await post(service, {"orders": [EURUSD]}, **{"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert store.head() == 0


async def test_a_body_over_two_megabytes_is_refused_and_one_below_is_read(service: CommandService) -> None:
    room = b" " * (MAX_BATCH_BODY_BYTES - 200)
    below = b'{"orders": [' + json.dumps(EURUSD).encode() + b"]}" + room
    assert (await service.http.post("/orders/batch", content=below)).status_code == 200
    assert (await service.http.post("/orders/batch", content=below + b" " * 200)).status_code == 413


async def test_a_thousand_orders_are_a_batch(service: CommandService) -> None:
    found = await results(service, *[keyed(f"k-{number}") for number in range(MAX_BATCH_ORDERS)])
    assert {one["status"] for one in found} == {201}


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), CommitUnknown("perhaps")])
async def test_a_batch_that_is_not_durable_is_answered_in_exactly_the_words_of_an_order(
    service: CommandService, store: UnreadableStore, error: EventStoreError
) -> None:
    store.fail_with = error
    answer = await post(service, [keyed("k"), EURUSD])
    assert (answer.status_code, answer.content) == (
        500,
        b'{"message": "Internal server error while placing the order"}',
    )
    assert answer.headers["retry-after"]
    assert answer.headers["x-trace-id"]
    assert "location" not in answer.headers


async def test_a_full_queue_or_a_stopping_process_refuses_on_purpose(
    service: CommandService, store: UnreadableStore
) -> None:
    store.fail_with = StoreOverloaded("full")
    full = await post(service, [EURUSD])
    service.writer.close()
    stopping = await post(service, [EURUSD])
    assert (full.status_code, stopping.status_code) == (503, 503)
    assert full.headers["retry-after"]


async def test_an_order_that_cannot_be_looked_up_leaves_the_others_their_results(
    service: CommandService, store: UnreadableStore
) -> None:
    await service.place(client_order_id="k")
    store.reads_fail = True
    found = await results(service, keyed("k"), keyed("l"))
    assert [one["status"] for one in found] == [500, 201]
    assert found[0]["problem"]["detail"] == "Internal server error while placing the order"


async def test_orders_of_a_batch_that_are_answered_500_are_counted_and_logged(
    service: CommandService, store: UnreadableStore, caplog: pytest.LogCaptureFixture
) -> None:
    await service.place(client_order_id="k")
    store.reads_fail = True
    await results(service, keyed("k"), keyed("l"), keyed("k"))
    assert "orders_faults_total 2.0" in (await service.http.get("/metrics")).text.splitlines()
    assert "order not placed: 2 of a batch of 3, the first: gone" in caplog.messages


async def test_a_batch_of_which_every_order_would_be_500_is_the_exact_500(
    service: CommandService, store: UnreadableStore
) -> None:
    store.reads_fail = True
    answer = await post(service, [{**keyed("k"), "symbol": "NOPE"}, {**keyed("l"), "symbol": "NOPE"}])
    assert answer.status_code == 500
    assert answer.content == b'{"message": "Internal server error while placing the order"}'
    assert {"retry-after", "x-trace-id", "orders-position"} <= set(answer.headers)


async def test_once_the_log_is_away_no_more_keys_are_looked_up(service: CommandService, store: UnreadableStore) -> None:
    store.reads_fail = True
    wrong = [{**keyed(f"k{number}"), "symbol": "NOPE"} for number in range(8)]
    assert [one["status"] for one in await results(service, *wrong, keyed("new"))] == [*[500] * 8, 201]
    assert store.reads == 1


async def test_keys_are_not_looked_up_for_longer_than_a_command_may_wait(
    service: CommandService, store: UnreadableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "APPEND_TIMEOUT_S", 0.0)
    wrong = [{**keyed(f"k{number}"), "symbol": "NOPE"} for number in range(8)]
    assert [one["status"] for one in await results(service, *wrong, keyed("new"))] == [*[500] * 8, 201]
    assert store.reads == 0


async def test_half_a_surrogate_pair_is_answered_as_what_it_is(service: CommandService) -> None:
    answer = await service.http.post("/orders/batch", content=b'[{"symbol": "\\ud800", "quantity": 1}]')
    assert [one["status"] for one in answer.json()] == [422]


async def test_the_schema_shows_the_batch_with_its_results(service: CommandService) -> None:
    schema = (await service.http.get("/openapi.json")).json()
    operation = schema["paths"]["/orders/batch"]["post"]
    assert {"200", "400", "413", "415", "422", "500", "503"} <= set(operation["responses"])
    assert "201" not in operation["responses"]
    body, array = operation["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert body["properties"]["orders"] == array
    assert (array["minItems"], array["maxItems"]) == (1, MAX_BATCH_ORDERS)
    assert {"quantity", "symbol", "client_order_id"} <= set(array["items"]["properties"])
    shown = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert shown["items"] == {"$ref": "#/components/schemas/BatchResult"}
    assert {"Retry-After", "X-Trace-Id"} <= set(operation["responses"]["500"]["headers"])
