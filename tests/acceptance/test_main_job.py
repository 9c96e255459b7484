"""The main job, from outside: real processes, a real port, and what the contract promises of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.support.running_service import RunningService, ServiceAtUrl, receive, service_to_ask
from tests.support.waiting import wait_until

RESTING: dict[str, Any] = {"type": "limit", "limit_price": "0.00001"}


@pytest.fixture(scope="module")
def service(pytestconfig: pytest.Config) -> Iterator[ServiceAtUrl]:
    with service_to_ask(pytestconfig) as running:
        yield running


def test_a_market_order_is_placed_then_executed_and_the_socket_tells_both(service: ServiceAtUrl) -> None:
    with service.socket(query="") as feed:
        order = service.place(quantity=10)
        placed, executed = receive(feed, 2)
    assert order["status"] == "Placed"
    assert order["id"] == order["order_id"]
    assert [placed["status"], executed["status"]] == ["Placed", "Executed"]
    assert {placed["order_id"], executed["order_id"]} == {order["id"]}
    assert placed["position"] < executed["position"]
    found = service.order(order["id"])
    assert (found["status"], found["ord_status"], found["filled_quantity"]) == ("Executed", "Filled", 10)
    assert found["average_price"] is not None
    assert found["executed_at"] is not None


def test_a_resting_order_is_canceled_and_the_socket_tells_it(service: ServiceAtUrl) -> None:
    order = service.place(**RESTING)
    resting = service.wait_for(order["id"], ord_status="New")
    # Another API process, behind a balancer, may be a little behind: from a position nothing comes twice.
    with service.socket(f"?after={resting['position']}") as feed:
        assert receive(feed, 1)[0]["type"] == "caught_up"
        answer = service.http.delete(f"/orders/{order['id']}")
        (message,) = receive(feed, 1)
    assert answer.status_code == 200
    assert answer.json()["status"] == "Canceled"
    assert (message["order_id"], message["status"]) == (order["id"], "Canceled")
    again = service.http.delete(f"/orders/{order['id']}")
    assert again.status_code == 400
    assert again.json()["detail"] == f"Order with ID: {order['id']} has already been canceled"


def test_a_resting_order_is_replaced_at_the_exchange(service: ServiceAtUrl) -> None:
    order = service.place(**RESTING)
    service.wait_for(order["id"], ord_status="New")
    answer = service.http.put(f"/orders/{order['id']}", json={"quantity": 20, "limit_price": 0.00002})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["quantity"], answer.json()["limit_price"]) == (20, "0.00002")


def test_limit_orders_that_cross_execute_against_each_other(service: ServiceAtUrl) -> None:
    maker = service.place(type="limit", side="sell", price="1.20000", symbol="USDCAD")
    service.wait_for(maker["id"], ord_status="New")
    taker = service.place(type="limit", side="buy", price=1.3, symbol="USDCAD")
    for order in (maker, taker):
        assert service.wait_for(order["id"], status="Executed")["average_price"] == "1.20000000"


def test_an_executed_order_cannot_be_canceled(service: ServiceAtUrl) -> None:
    order = service.place()
    service.wait_for(order["id"], status="Executed")
    answer = service.http.delete(f"/orders/{order['id']}")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["detail"] == f"Order with ID: {order['id']} has already been executed"


@pytest.mark.parametrize("order_id", ["nonsense", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_an_unknown_order_is_not_found(service: ServiceAtUrl, method: str, order_id: str) -> None:
    answer = service.http.request(method, f"/orders/{order_id}", json={"quantity": 1} if method == "PUT" else None)
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"Order with ID: {order_id} does not exist"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"symbol": "XXXYYY"}, "Symbol: XXXYYY is not supported"),
        ({"symbol": 5}, "Input should be a valid string"),
        ({"quantity": 0}, "Quantity must be greater than zero"),
        ({"quantity": -3}, "Quantity must be greater than zero"),
        ({"quantity": 10.5}, "Quantity must be an integer"),
        ({"quantity": 10.0}, "Quantity must be an integer"),
        ({"quantity": "10"}, "Quantity must be an integer"),
        ({"type": "market", "limit_price": 1.1}, "Providing a `limit_price` is prohibited for type `market`"),
        ({"type": "limit"}, "Attribute `limit_price` is required for type `limit`"),
    ],
)
def test_wrong_terms_are_refused_in_words_that_clients_know(
    service: ServiceAtUrl, change: dict[str, Any], detail: str
) -> None:
    answer = service.http.post("/orders", json={"symbol": "EURUSD", "quantity": 10, **change})
    assert answer.status_code == 422
    assert answer.json()["detail"] == detail
    assert answer.json()["errors"]


def test_a_repeat_with_the_same_key_finds_the_same_order(service: ServiceAtUrl) -> None:
    body, key = {"symbol": "EURUSD", "quantity": 7, "type": "limit", "limit_price": "0.00010"}, f"k-{uuid4()}"
    first = service.http.post("/orders", json=body, headers={"Idempotency-Key": key})
    again = service.http.post("/orders", json={**body, "limit_price": 0.0001, "client_order_id": key})
    other = service.http.post("/orders", json={**body, "quantity": 8, "client_order_id": key})
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.headers["location"].endswith(first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json()["id"] == again.json()["id"]


def test_the_list_is_newest_first_and_holds_what_was_just_placed(service: ServiceAtUrl) -> None:
    placed = [service.place(**RESTING) for _ in range(3)]
    # Without a position, an API process behind a balancer waits for what it wrote itself.
    answer = service.http.get("/orders", params={"limit": 3, "min_position": placed[-1]["position"]})
    assert [order["id"] for order in answer.json()] == [order["id"] for order in placed[::-1]]
    assert int(answer.headers["orders-position"]) >= placed[-1]["position"]
    filtered = service.http.get("/orders", params={"status": "Executed"})
    assert {order["status"] for order in filtered.json()} == {"Executed"}


@pytest.mark.own_service
def test_everything_is_there_after_a_restart(service: ServiceAtUrl) -> None:
    assert isinstance(service, RunningService)
    order = service.place()
    service.wait_for(order["id"], status="Executed")

    def at_rest() -> list[dict[str, Any]] | None:
        """Those of the tests before may still be on their way, and the list is told of each a moment later."""
        orders = service.all_orders()
        resting = [one["delivery"] == "acked" and one["type"] == "limit" for one in orders if one["status"] == "Placed"]
        return orders if all(resting) else None

    before = wait_until(at_rest, what="all orders to be at rest")
    assert service.stop() == 0
    service.start()
    assert service.all_orders() == before
