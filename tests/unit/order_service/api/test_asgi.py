"""What the assembled app does with what no handler answers: problems, HEAD, metrics."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from order_service.api.docs_pages import ASSETS_PATH
from orders.api.errors import ApiError
from orders.api.problems import DETAILS, PROBLEMS
from orders.domain.errors import Refusal
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import EventStoreError, StoreUnavailable
from orders.request_errors import RequestError
from tests.support.command_service import EURUSD, CommandService, command_service

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[4]
SECRET = "connection to host db7.internal failed"
DOCUMENTS = ["/openapi.json", "/asyncapi.json", f"{ASSETS_PATH}/swagger-ui.css"]
NO_BODY = {"type": "http.request", "body": b"", "more_body": False}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class FailingReads(MemoryEventStore):
    error: Exception | None = None

    def read_stream(self, *given: Any, **named: Any) -> Any:
        if self.error is not None:
            raise self.error
        return super().read_stream(*given, **named)


@pytest.fixture
async def store() -> FailingReads:
    return FailingReads()


@pytest.fixture
async def service(store: FailingReads) -> AsyncIterator[CommandService]:
    async with command_service(store, store.hints) as running:
        yield running


async def answered(
    service: CommandService,
    method: str,
    path: str,
    received: Any = NO_BODY,
    **more: Any,
) -> list[Any]:
    """What the app sends to a request as a server hands it over, below all that a client library makes of it."""
    sent: list[Any] = []

    async def receive() -> Any:
        return received

    async def send(message: Any) -> None:
        sent.append(message)

    of_every = {"query_string": b"", "headers": [], "state": {}, "root_path": "", "scheme": "http"}
    scope: Any = {"type": "http", "http_version": "1.1", "method": method, "path": path, **of_every, **more}
    await service.app(scope, receive, send)
    return sent


def _below(kind: type[Exception]) -> set[type[Exception]]:
    return {one for child in kind.__subclasses__() for one in {child, *_below(child)}}


@pytest.mark.parametrize("root", [Refusal, ApiError, RequestError, EventStoreError])
async def test_every_error_of_a_tree_has_its_row_in_the_table(root: type[Exception]) -> None:
    missing = {kind.__name__ for kind in _below(root) - set(PROBLEMS) if kind.__module__.startswith("orders.")}
    assert not missing


async def test_every_store_error_that_a_client_sees_has_words_of_ours() -> None:
    shown = {kind for kind in _below(EventStoreError) & set(PROBLEMS) if PROBLEMS[kind][0] != 500}
    assert shown <= set(DETAILS)


async def test_a_problem_has_its_members_and_its_media_type(service: CommandService) -> None:
    answer = await service.http.post("/orders", json={**EURUSD, "quantity": 0, "colour": "red"})
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "errors", "trace_id"}
    assert (body["status"], body["type"]) == (422, "urn:problem-type:invalid-order")
    assert body["detail"] == body["errors"][0]["message"] == "Quantity must be greater than zero"
    assert [error["field"] for error in body["errors"]] == ["quantity", "colour"]


@pytest.mark.parametrize("path", ["/nonsense", "/docs/nonsense", "/docs/assets/nonsense", "/orders/x/y/z"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_is_not_there_is_a_problem_and_no_page(service: CommandService, method: str, path: str) -> None:
    answer = await service.http.request(method, path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(
    ("path", "order_id"),
    [
        ("/orders/a%2Fb", "a/b"),
        ("/order/%2F%2F", "//"),
        ("/orders/%C3%BC%2f", "ü/"),
        ("/orders/x%252Fy", "x%2Fy"),
        ("/orders/%25", "%"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_slash_or_percent_sign_within_an_id_names_no_order_like_any_other_text(
    service: CommandService, method: str, path: str, order_id: str
) -> None:
    answer = await service.http.request(method, path, content=b"{}")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"Order with ID: {order_id} does not exist")


async def test_bytes_that_should_have_been_encoded_name_nothing_and_are_no_fault(service: CommandService) -> None:
    """As a server hands them over: no client library sends them."""
    sent = await answered(service, "GET", "/orders/Aé/x/y", raw_path=b"/orders/%41\xc3\xa9/x/y")
    assert sent[0]["status"] == 404
    assert json.loads(sent[1]["body"])["detail"] == "There is nothing at /orders/Aé/x/y"


async def test_what_is_not_taken_names_what_is(service: CommandService) -> None:
    answer = await service.http.request("PATCH", "/orders")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/orders", {"OPTIONS", "POST"}),
        ("/orders/any", {"DELETE", "OPTIONS", "PATCH", "PUT"}),
        ("/health/live", {"GET", "HEAD", "OPTIONS"}),
    ],
)
async def test_options_and_405_name_every_method_of_a_path(
    service: CommandService, path: str, methods: set[str]
) -> None:
    asked, refused = await service.http.options(path), await service.http.request("TRACE", path)
    assert (asked.status_code, asked.content, refused.status_code) == (204, b"", 405)
    for answer in (asked, refused):
        assert set(answer.headers["allow"].split(", ")) == methods
    assert "content-length" not in asked.headers


async def test_options_of_what_is_not_there_is_not_found(service: CommandService) -> None:
    assert (await service.http.options("/nonsense")).status_code == 404


async def test_the_callers_trace_is_the_problems_and_else_it_has_one_of_its_own(service: CommandService) -> None:
    traced = await service.http.post("/orders", content=b"{", headers={"traceparent": TRACEPARENT})
    others = [await service.http.post("/orders", content=b"{", headers={"traceparent": "x"}) for _ in range(2)]
    assert traced.headers["x-trace-id"] == traced.json()["trace_id"] == TRACEPARENT.split("-")[1]
    assert len({answer.json()["trace_id"] for answer in others}) == 2


async def test_every_answer_tells_a_caller_the_trace_that_it_brought_and_the_events_keep_it(
    service: CommandService, store: FailingReads
) -> None:
    traced = await service.http.post("/orders", json=EURUSD, headers={"traceparent": TRACEPARENT})
    trace_id = TRACEPARENT.split("-")[1]
    assert (traced.status_code, traced.headers["x-trace-id"]) == (201, trace_id)
    (placed,) = store.read_stream(UUID(traced.json()["id"]))
    assert placed.event.trace_id == trace_id
    assert "x-trace-id" not in (await service.http.post("/orders", json=EURUSD)).headers


async def test_every_refusal_carries_the_position_that_the_process_knows(service: CommandService) -> None:
    await service.place()
    for answer in (
        await service.http.post("/orders", json={}),
        await service.http.delete("/orders/nonsense"),
        await service.http.get("/nonsense"),
    ):
        assert answer.headers["orders-position"] == "1"


async def test_a_lost_database_is_told_without_its_inside_and_logged_with_it(
    service: CommandService, store: FailingReads, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = StoreUnavailable(SECRET)
    answer = await service.http.delete("/orders/5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "internal" not in answer.text
    (logged,) = [record for record in caplog.records if SECRET in record.getMessage()]
    assert logged.__dict__["trace_id"] == answer.json()["trace_id"]


async def test_a_fault_of_ours_is_told_without_its_inside_and_logged_in_full(
    service: CommandService, store: FailingReads, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = LookupError(SECRET)
    answer = await service.http.delete("/orders/5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "internal" not in answer.text.lower().replace("internal server error", "")
    (logged,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert logged.exc_info is not None
    assert logged.__dict__["trace_id"] == answer.json()["trace_id"]


async def test_half_a_surrogate_pair_is_answered_as_what_it_is(service: CommandService) -> None:
    answer = await service.http.post("/orders", content=rb'{"symbol": "\ud800", "quantity": 1, "\udfff": 1}')
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["symbol", "?"]


@pytest.mark.parametrize("path", ["/health/live", *DOCUMENTS, "/nonsense"])
async def test_head_is_get_without_its_content(service: CommandService, path: str) -> None:
    got, head = await service.http.get(path), await service.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == str(len(got.content))


async def test_head_sends_no_content_on_the_wire(service: CommandService) -> None:
    """Seen below the client, which drops what a server should not have sent."""
    sent = await answered(service, "HEAD", f"{ASSETS_PATH}/swagger-ui.css")
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"")


async def test_a_client_that_goes_before_its_bodys_end_is_no_fault_of_ours(
    service: CommandService, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    sent = await answered(service, "POST", "/orders", {"type": "http.disconnect"}, headers=headers)
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_every_answer_is_counted_by_route_and_status(service: CommandService) -> None:
    await service.place()
    await service.http.post("/orders", json={})
    for number in range(3):
        await service.http.get(f"/nowhere/{number}")
        await service.http.request(f"MADEUP{number}", "/orders")
    metrics = (await service.http.get("/metrics")).text
    assert counted(metrics, "POST", "/orders", 201) == 1
    assert counted(metrics, "POST", "/orders", 422) == 1
    assert counted(metrics, "GET", "other", 404) == 3
    assert "MADEUP" not in metrics
    assert "/nowhere" not in metrics


def counted(metrics: str, method: str, route: str, status: int) -> float:
    labels = f'{{method="{method}",route="{route}",status="{status}"}}'
    found = re.search(re.escape(f"orders_http_request_seconds_count{labels}") + r" (\S+)", metrics)
    return float(found[1]) if found else 0.0
