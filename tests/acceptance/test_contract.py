"""What the contract says of REST and /ws beside the main job, sentence by sentence, at a service that runs."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.support.running_service import ServiceAtUrl, receive, service_to_ask
from tests.support.waiting import wait_until

RESTING: dict[str, Any] = {"limit_price": "0.00001"}
BODY: dict[str, Any] = {"symbol": "EURUSD", "quantity": 10}
MAX_BODY = 64 * 1024
CHANGING = ["PUT", "PATCH", "DELETE"]


@pytest.fixture(scope="module")
def service(pytestconfig: pytest.Config) -> Iterator[ServiceAtUrl]:
    with service_to_ask(pytestconfig, EXCHANGE_FILL_DELAY="8-9") as running:
        yield running


def placed_resting(service: ServiceAtUrl, **terms: Any) -> str:
    """The id of an order that rests at the exchange."""
    order_id: str = service.place(**RESTING, **terms)["id"]
    service.wait_for(order_id, ord_status="New")
    return order_id


def asked_at_once(service: ServiceAtUrl, requests: list[tuple[str, str, Any]]) -> list[httpx.Response]:
    def ask(request: tuple[str, str, Any]) -> httpx.Response:
        method, path, body = request
        return service.http.request(method, path, json=body)

    with ThreadPoolExecutor(50) as threads:
        return list(threads.map(ask, requests))


def told_of(feed: ClientConnection, order_id: str, count: int) -> list[dict[str, Any]]:
    """The next messages about one order, of a feed that tells of others too."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += [one for one in receive(feed, 1) if one["order_id"] == order_id]
    return found


def events_of(service: ServiceAtUrl, order_id: str) -> list[str]:
    return [one["event"] for one in service.http.get(f"/orders/{order_id}/events").json()]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"symbol": None, "quantity": 10}, "Input should be a valid string"),
        ({**BODY, "quantity": None}, "Quantity must be an integer"),
        ({**BODY, "quantity": True}, "Quantity must be an integer"),
        ({**BODY, "quantity": 1_000_000_001}, "Quantity must be at most 1000000000"),
        ({**BODY, "symbol": "US0378331005"}, "Symbol: US0378331005 is not supported"),
        ({"instrument": "EURUSD", "quantity": 10}, "Instrument: EURUSD is not supported"),
        ({**BODY, "instrument": "US0378331005"}, "Give either `symbol` or `instrument`, not both"),
        ({**BODY, "limit_price": "1.000001"}, "Limit price must be a multiple of the tick size 0.00001"),
        ({**BODY, "limit_price": 1e300}, "Limit price must have at most 18 digits"),
        ({**BODY, "limit_price": 1, "price": 1}, "Give either `price` or `limit_price`, not both"),
        ({**BODY, "side": "1"}, "Side must be buy or sell (or 1 or -1)"),
        ({**BODY, "client_order_id": "a b"}, "A key must have 1 to 128 characters from ! to ~"),
        ({**BODY, "colour": "red"}, "Unknown field `colour`"),
    ],
)
def test_a_wrong_field_is_refused_in_words(service: ServiceAtUrl, body: dict[str, Any], detail: str) -> None:
    answer = service.http.post("/orders", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


def test_every_wrong_field_is_listed(service: ServiceAtUrl) -> None:
    body = {"symbol": "NOPE", "quantity": 0, "side": 2, "type": "stop", "time_in_force": "now", "x": 1}
    errors = service.http.post("/orders", json=body).json()["errors"]
    assert [error["field"] for error in errors] == ["symbol", "quantity", "side", "type", "time_in_force", "x"]


@pytest.mark.own_service
def test_operators_see_the_adapter_the_projections_and_what_is_held(service: ServiceAtUrl) -> None:
    workers = lambda: service.http.get("/ops/workers").json()  # noqa: E731
    wait_until(lambda: [len(one["shards"]) for one in workers()] == [64], what="the adapter's heartbeat")
    (worker,) = workers()
    assert (worker["alive"], worker["venue"]) == (True, "simulated")
    assert all(one["followed"] for one in service.http.get("/ops/projections").json())
    assert service.http.get("/ops/parked").json() == []
    # On a busy machine a figure may take too long, and is left out until the next look.
    for figure in ("orders_adapter_workers 1.0", 'orders_projection_failed{projection="positions"} 0.0'):
        wait_until(lambda figure=figure: f"\n{figure}\n" in service.http.get("/metrics").text, what=figure)


def test_a_price_of_all_18_digits_is_placed_at_the_exchange(service: ServiceAtUrl) -> None:
    order = service.place(symbol="CADUSD", side="sell", price="999999999999999999")
    assert service.wait_for(order["id"], ord_status="New")["limit_price"] == "999999999999999999.00000"


def test_an_order_as_the_singular_names_it_needs_no_symbol(service: ServiceAtUrl) -> None:
    placed = service.http.post("/order", json={"quantity": 10, **RESTING})
    assert (placed.status_code, placed.json()["symbol"]) == (201, "EURUSD")
    assert service.http.post("/orders", json={"quantity": 10}).status_code == 422
    path = f"/order/{placed.json()['id']}"
    assert service.http.get(path).json()["id"] == placed.json()["id"]
    assert service.http.delete(path).status_code == 200


# Bodies and methods


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_have_64_kib_and_no_byte_more(service: ServiceAtUrl, chunked: bool) -> None:
    def post(size: int) -> int:
        body = json.dumps(BODY).encode().ljust(size)
        content = iter([body[:1000], body[1000:]]) if chunked else body
        return service.http.post("/orders", content=content, headers={"content-type": "application/json"}).status_code

    assert (post(MAX_BODY), post(MAX_BODY + 1)) == (201, 413)


def test_every_answer_carries_the_position(service: ServiceAtUrl) -> None:
    order_id = service.place()["id"]
    statuses = []
    for method, path, content in (
        ("POST", "/orders", json.dumps(BODY)),
        ("POST", "/orders", "{"),
        ("POST", "/orders", "{}"),
        ("POST", "/orders", "x" * (MAX_BODY + 1)),
        ("GET", "/orders", None),
        ("GET", "/trades", None),
        ("GET", "/instruments", None),
        ("GET", "/books/EURUSD", None),
        ("GET", "/books/NOPE", None),
        ("GET", f"/orders/{order_id}", None),
        ("GET", f"/orders/{order_id}/events", None),
        ("GET", "/orders?limit=0", None),
        ("DELETE", "/orders/nonsense", None),
    ):
        answer = service.http.request(method, path, content=content, headers={"content-type": "application/json"})
        assert answer.headers["orders-position"].isdigit(), (method, path)
        statuses.append(answer.status_code)
    assert statuses == [201, 400, 422, 413, 200, 200, 200, 200, 404, 200, 200, 422, 404]


@pytest.mark.own_service
def test_where_nobody_is_a_stranger_what_no_route_takes_carries_it_too(service: ServiceAtUrl) -> None:
    answer = service.http.put("/orders", content="{}")
    assert (answer.status_code, answer.headers["orders-position"].isdigit()) == (405, True)


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/orders", ["POST"]), ("/orders/any", CHANGING), ("/orders/batch", ["POST", *CHANGING])],
)
def test_a_path_names_all_its_methods(service: ServiceAtUrl, path: str, methods: list[str]) -> None:
    asked, refused = service.http.options(path), service.http.request("PURGE", path)
    assert (asked.status_code, refused.status_code) == (204, 405)
    for answer in (asked, refused):
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", *methods}


@pytest.mark.parametrize("method", ["GET", "HEAD", *CHANGING])
def test_there_is_no_order_of_the_name_batch(service: ServiceAtUrl, method: str) -> None:
    answer = service.http.request(method, "/orders/batch", json={"quantity": 1})
    assert answer.status_code == 404
    assert method == "HEAD" or answer.json()["detail"] == "Order with ID: batch does not exist"


@pytest.mark.own_service
def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault(service: ServiceAtUrl) -> None:
    address = urlsplit(service.url)
    head = b"POST /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    before = _count(service, _REFUSED_BODIES)
    with socket.create_connection((address.hostname, address.port or 80)) as leaving:
        leaving.sendall(head)
    wait_until(lambda: _count(service, _REFUSED_BODIES) > before, what="the end of the request")
    assert _count(service, "orders_faults_total") == 0


_REFUSED_BODIES = 'orders_http_request_seconds_count{method="POST",route="/orders",status="400"}'


def _count(service: ServiceAtUrl, series: str) -> float:
    lines = service.http.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(series))


# Keys and races


def test_200_at_once_with_one_key_are_one_order(service: ServiceAtUrl) -> None:
    key = f"one-key-{uuid4()}"
    bodies = [{**BODY, "quantity": 10 + number % 2, "client_order_id": key} for number in range(200)]
    answers = asked_at_once(service, [("POST", "/orders", body) for body in bodies])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99, 409: 100}
    assert len({answer.json()["id"] for answer in answers if answer.is_success}) == 1
    (placed,) = (answer.json() for answer in answers if answer.status_code == 201)
    listed = service.http.get("/orders", params={"client_order_id": key, "min_position": placed["position"]})
    assert [order["id"] for order in listed.json()] == [placed["id"]]


def test_delete_right_after_post_ends_the_order(service: ServiceAtUrl) -> None:
    ids = [service.http.post("/orders", json={**BODY, **RESTING}).json()["id"] for _ in range(30)]
    answers = asked_at_once(service, [("DELETE", f"/orders/{order_id}", None) for order_id in ids])
    assert {answer.status_code for answer in answers} <= {200, 202}
    for order_id in ids:
        service.wait_for(order_id, status="Canceled")


def test_put_and_delete_at_once_leave_one_end(service: ServiceAtUrl) -> None:
    ids = [placed_resting(service) for _ in range(10)]
    requests: list[tuple[str, str, Any]] = [
        (method, f"/orders/{order_id}", {"quantity": 20} if method == "PUT" else None)
        for order_id in ids
        for method in ("PUT", "DELETE", "DELETE")
    ]
    answers = asked_at_once(service, requests)
    assert {answer.status_code for answer in answers} <= {200, 202, 400, 409}
    for order_id in ids:
        service.wait_for(order_id, status="Canceled")
        assert events_of(service, order_id).count("OrderCanceled") == 1


# States


def test_a_pending_market_order_takes_a_quantity_and_no_price(service: ServiceAtUrl) -> None:
    order = service.place()
    path = f"/orders/{order['id']}"
    priced = service.http.put(path, json={"limit_price": 1.1})
    assert (priced.status_code, priced.json()["detail"]) == (
        422,
        "Providing a `limit_price` is prohibited for type `market`",
    )
    assert service.http.patch(path, json={"quantity": 20}).json()["quantity"] == 20
    assert service.http.delete(path).json()["status"] == "Canceled"
    for method in ("PUT", "DELETE"):
        ended = service.http.request(method, path, json={"quantity": 30} if method == "PUT" else None)
        assert (ended.status_code, ended.json()["detail"]) == (
            400,
            f"Order with ID: {order['id']} has already been canceled",
        )


def test_put_of_the_present_values_changes_nothing(service: ServiceAtUrl) -> None:
    order_id = placed_resting(service)
    before = service.order(order_id)
    answer = service.http.put(f"/orders/{order_id}", json={"quantity": 10, "price": 0.00001})
    assert (answer.status_code, answer.json()) == (200, before)


def test_a_partly_filled_order_shrinks_to_what_is_filled_and_no_further(service: ServiceAtUrl) -> None:
    seller: dict[str, Any] = {"symbol": "USDEUR", "side": "sell", "price": "7"}
    order_id = service.place(**seller)["id"]
    resting = service.wait_for(order_id, ord_status="New")
    # Another API process, behind a balancer, may be a little behind: from a position nothing comes twice.
    with service.socket(f"?order_id={order_id}&detail=true&after={resting['position']}") as feed:
        assert receive(feed, 1)[0]["type"] == "caught_up"
        service.place(symbol="USDEUR", price="7", quantity=4)
        service.wait_for(order_id, filled_quantity=4)
        too_few = service.http.put(f"/orders/{order_id}", json={"quantity": 3})
        just = service.http.put(f"/orders/{order_id}", json={"quantity": 4})
        told = receive(feed, 3)
    assert (too_few.status_code, just.status_code) == (422, 200)
    assert (just.json()["status"], just.json()["average_price"]) == ("Executed", "7.00000000")
    assert [(one["event"], one["status"], one["ord_status"]) for one in told] == [
        ("OrderExecuted", "Placed", "PartiallyFilled"),
        ("ReplaceRequested", "Placed", "PendingReplace"),
        ("OrderReplaced", "Executed", "Filled"),
    ]


# Reads


@pytest.mark.own_service
def test_pages_follow_each_other_without_gap_or_repeat(service: ServiceAtUrl) -> None:
    placed = [service.place(symbol="CADUSD", **RESTING)["id"] for _ in range(5)]
    found: list[str] = []
    path: str | None = "/orders?symbol=CADUSD&limit=2&side=buy"
    while path is not None:
        page = service.http.get(path)
        found += [order["id"] for order in page.json()]
        path = page.links["next"]["url"] if "next" in page.links else None
    assert found == placed[::-1]
    cursor = service.http.get("/orders?symbol=CADUSD&limit=2").links["next"]["url"]
    assert service.http.get(cursor.replace("CADUSD", "EURUSD")).status_code == 422


def test_orders_are_found_between_two_times(service: ServiceAtUrl) -> None:
    first, second, third = (service.place(symbol="USDCAD", **RESTING) for _ in range(3))
    between = {"symbol": "USDCAD", "placed_after": first["created_at"], "placed_before": third["created_at"]}
    listed = service.http.get("/orders", params={**between, "min_position": third["position"]})
    assert [order["id"] for order in listed.json()] == [second["id"]]


@pytest.mark.parametrize("path", ["/orders", "/trades", "/instruments", "/books/EURUSD"])
def test_a_read_waits_for_what_the_log_holds_and_for_nothing_else(service: ServiceAtUrl, path: str) -> None:
    position = service.place()["position"]
    answer = service.http.get(path, params={"min_position": position})
    assert answer.status_code == 200
    assert int(answer.headers["orders-position"]) >= position
    assert service.http.get(path, params={"min_position": position, "wait_ms": 0}).status_code == 200
    for wrong in ({"min_position": 10**9}, {"min_position": "x"}, {"wait_ms": 5001}, {"nonsense": 1}):
        refused = service.http.get(path, params=wrong)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == list(wrong)


# The feed


def test_each_event_is_told_once_live_and_after_a_position(service: ServiceAtUrl) -> None:
    with service.socket() as live, service.socket("?detail=true") as detailed:
        order_id = service.place(**RESTING)["id"]
        service.wait_for(order_id, ord_status="New")
        service.http.put(f"/orders/{order_id}", json={"quantity": 20})
        service.http.delete(f"/orders/{order_id}")
        told, of_all = told_of(live, order_id, 3), told_of(detailed, order_id, 7)
    assert [(one["event"], one["status"]) for one in told] == [
        ("OrderPlaced", "Placed"),
        ("OrderReplaced", "Placed"),
        ("OrderCanceled", "Canceled"),
    ]
    assert [one["event"] for one in of_all] == events_of(service, order_id)
    with service.socket(f"?after={told[0]['position']}&order_id={order_id}") as resumed:
        again = receive(resumed, 3)
    assert again[:2] == told[1:]
    assert again[2]["type"] == "caught_up"
    assert again[2]["position"] >= told[-1]["position"]


@pytest.mark.parametrize("query", ["after=1000000", "after=x", "detail=yes", "symbol=NOPE", "order_id=1", "nonsense=1"])
def test_a_bad_parameter_of_the_feed_closes_with_its_reason(service: ServiceAtUrl, query: str) -> None:
    with service.socket(f"?{query}") as feed, pytest.raises(ConnectionClosed) as closed:
        feed.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4422
    assert closed.value.rcvd.reason.startswith(query.partition("=")[0])
