"""The command routes over a store in memory: statuses, headers, and waiting for the venue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from order_service.api.problem_details import Problem, Problems
from orders.api.commands import OrderCommands
from orders.api.problems import PROBLEMS
from orders.api.routes import command_routes
from orders.domain import commands as c
from orders.domain.terms import Rules
from orders.domain.values import Capabilities
from orders.eventstore import port
from orders.eventstore.group_commit import Writer
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.read_threads import ReadThreads
from orders.handlers import CommandHandler
from orders.venue_reply import OrderChanges

MARKET = {"symbol": "EURUSD", "quantity": 10}
LIMIT = {**MARKET, "limit_price": "1.10000"}
CAPABLE = Capabilities(deduplicates=True, cancels=True, replaces=True)


class BrokenStore(MemoryEventStore):
    """Fails each append with the error it is given, and counts the reads of orders."""

    error: port.EventStoreError | None = None
    reads = 0

    def read_stream(self, *given: Any, **named: Any) -> list[port.Recorded]:
        self.reads += 1
        return super().read_stream(*given, **named)

    def append_encoded(self, units: Sequence[port.EncodedUnit], **bounds: Any) -> Any:
        if self.error is not None:
            raise self.error
        return super().append_encoded(units, **bounds)


@dataclass
class Service:
    http: httpx.AsyncClient
    handler: CommandHandler
    store: BrokenStore
    changes: OrderChanges

    async def post(self, body: Any = None, **headers: str) -> httpx.Response:
        return await self.http.post("/orders", json=MARKET if body is None else body, headers=headers)

    async def venue_says(self, order_id: str, kind: type[c.Command], **fields: Any) -> None:
        done = await self.handler.execute(
            kind(order_id=UUID(order_id), command_id=uuid4(), at=datetime.now(UTC), by="venue", **fields)
        )
        self.changes.publish(done.events)

    async def resting(self) -> str:
        order_id: str = (await self.post(LIMIT)).json()["id"]
        await self.venue_says(order_id, c.StartSubmit, worker="w")
        await self.venue_says(order_id, c.RecordAccepted)
        return order_id


@asynccontextmanager
async def running(capabilities: Capabilities = CAPABLE, wait_s: float = 0.05) -> AsyncIterator[Service]:
    store = BrokenStore()
    writer, changes = Writer(store), OrderChanges()
    writer.start()
    with ThreadPoolExecutor(2) as threads:
        handler = CommandHandler(store, writer, Rules(venue=capabilities), ReadThreads(threads))
        commands = OrderCommands(
            handler,
            changes,
            new_id=uuid4,
            now=lambda: datetime.now(UTC),
            default_symbol=None,
            venue_wait_s=wait_s,
        )
        app = Litestar(
            command_routes(commands, problem=Problem),
            exception_handlers=Problems(PROBLEMS).handlers(),  # type: ignore[arg-type]
            logging_config=None,
            openapi_config=None,
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Service(http, handler, store, changes)
        writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running() as one:
        yield one


pytestmark = pytest.mark.anyio


async def test_an_accepted_order_says_where_it_is(service: Service) -> None:
    answer = await service.post()
    order = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/orders/{order['id']}"
    assert answer.headers["orders-position"] == str(order["position"]) == "1"
    assert (order["status"], order["ord_status"], order["delivery"]) == ("Placed", "PendingNew", "queued")


async def test_a_known_key_is_looked_up_before_a_rule_can_refuse(service: Service) -> None:
    await service.post({**MARKET, "client_order_id": "k"})
    again = await service.post({"symbol": "GONE", "quantity": 10, "client_order_id": "k"})
    assert again.status_code == 409
    assert (await service.post({"symbol": "GONE", "quantity": 10, "client_order_id": "l"})).status_code == 422


async def test_of_many_repeats_at_once_one_places_and_the_others_find_it(service: Service) -> None:
    answers = await asyncio.gather(*(service.post({**MARKET, "client_order_id": "k"}) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert service.store.head() == 1


@pytest.mark.parametrize("error", [port.StoreUnavailable("gone"), port.CommitUnknown("perhaps")])
async def test_an_order_that_is_not_durable_is_answered_in_exactly_these_words(
    service: Service, error: port.EventStoreError
) -> None:
    service.store.error = error
    answer = await service.post({**MARKET, "client_order_id": "k"})
    assert answer.status_code == 500
    assert answer.content == b'{"message": "Internal server error while placing the order"}'
    assert answer.headers["retry-after"]
    assert answer.headers["x-trace-id"]
    assert ("location" in answer.headers) == isinstance(error, port.CommitUnknown)


async def test_refused_on_purpose_is_503_with_a_time_to_wait(service: Service) -> None:
    service.store.error = port.StoreOverloaded("full")
    answer = await service.post()
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"]


async def test_a_body_that_is_too_large_is_not_read(service: Service) -> None:
    answer = await service.http.post("/orders", content=b" " * 70_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_a_body_that_is_no_json_by_its_own_word_is_refused(service: Service) -> None:
    answer = await service.http.post("/orders", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_the_singular_alias_trades_eurusd_where_nothing_is_named(service: Service) -> None:
    assert (await service.http.post("/order", json={"quantity": 1})).json()["symbol"] == "EURUSD"
    assert (await service.http.post("/orders", json={"quantity": 1})).status_code == 422


async def test_an_order_that_was_not_sent_is_canceled_and_replaced_at_once(service: Service) -> None:
    order_id = (await service.post(LIMIT)).json()["id"]
    replaced = await service.http.put(f"/orders/{order_id}", json={"quantity": 20})
    assert (replaced.status_code, replaced.json()["quantity"]) == (200, 20)
    canceled = await service.http.delete(f"/orders/{order_id}")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "Canceled")
    assert (await service.http.patch(f"/orders/{order_id}", json={"quantity": 5})).status_code == 400


async def test_present_values_are_answered_without_an_event(service: Service) -> None:
    order_id = (await service.post(LIMIT)).json()["id"]
    head = service.store.head()
    answer = await service.http.put(f"/orders/{order_id}", json={"quantity": 10, "price": 1.1})
    assert answer.status_code == 200
    assert service.store.head() == head


async def test_a_venue_that_is_silent_leaves_the_cancel_pending(service: Service) -> None:
    order_id = await service.resting()
    answer = await service.http.delete(f"/orders/{order_id}")
    assert (answer.status_code, answer.json()["ord_status"]) == (202, "PendingCancel")
    assert (await service.http.delete(f"/orders/{order_id}")).status_code == 409


async def test_after_a_silent_wait_the_order_is_read_for_the_answer_alone(service: Service) -> None:
    order_id = await service.resting()
    reads = service.store.reads
    assert (await service.http.delete(f"/orders/{order_id}")).status_code == 202
    assert service.store.reads == reads + 2  # one look whether the exchange has answered, and the answer


async def test_a_process_that_is_about_to_stop_answers_with_what_is_known() -> None:
    async with running(wait_s=60) as service:
        ids = [await service.resting() for _ in range(2)]
        waiting = asyncio.create_task(service.http.delete(f"/orders/{ids[0]}"))
        while (await service.handler.current(UUID(ids[0]))).pending_cancel is None:
            await asyncio.sleep(0)
        service.changes.close()
        answers = await asyncio.wait_for(asyncio.gather(waiting, service.http.delete(f"/orders/{ids[1]}")), 10)
        assert [(one.status_code, one.json()["ord_status"]) for one in answers] == [(202, "PendingCancel")] * 2


@pytest.mark.parametrize(
    ("word", "fields", "status"),
    [
        (c.RecordCanceled, {}, 200),
        (c.RecordCancelRejected, {"reason": "not now"}, 409),
        (c.RecordExecution, {"exec_id": "x", "quantity": 10, "price": Decimal(1), "leaves": 0}, 400),
    ],
)
async def test_a_cancel_waits_for_the_venues_word(word: type[c.Command], fields: dict[str, Any], status: int) -> None:
    async with running(wait_s=5) as service:
        order_id = await service.resting()
        canceling = asyncio.create_task(service.http.delete(f"/orders/{order_id}"))
        while (await service.handler.current(UUID(order_id))).pending_cancel is None:
            await asyncio.sleep(0)
        await service.venue_says(order_id, word, **fields)
        answer = await canceling
        assert answer.status_code == status
        if status == 409:
            assert answer.json()["detail"] == "not now"
        if status == 400:
            assert answer.json()["detail"].endswith("has already been executed")


async def test_what_the_venue_cannot_do_is_refused_at_once() -> None:
    async with running(Capabilities()) as service:
        order_id = await service.resting()
        answer = await service.http.delete(f"/orders/{order_id}")
        assert (answer.status_code, answer.json()["detail"]) == (409, "The exchange cannot cancel orders")


async def test_every_error_of_the_write_side_has_a_status() -> None:
    kinds = [kind for module in (port,) for kind in vars(module).values() if _is_error(kind)]
    from orders import request_errors
    from orders.api import errors as api
    from orders.domain import errors as domain

    for module in (api, request_errors, domain):
        kinds += [kind for kind in vars(module).values() if _is_error(kind)]
    roots = {port.EventStoreError, api.ApiError, request_errors.RequestError, domain.Refusal}
    assert {kind.__name__ for kind in kinds if kind not in roots} == {kind.__name__ for kind in PROBLEMS}


def _is_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


async def test_answers_with_an_order_carry_its_tag_except_where_it_would_confirm_what_was_sent(
    service: Service,
) -> None:
    keyed = {**LIMIT, "client_order_id": "k"}
    placed, repeated = await service.post(keyed), await service.post(keyed)
    assert (placed.headers["etag"], repeated.status_code, repeated.headers["etag"]) == ('"1"', 200, '"1"')
    path = f"/orders/{placed.json()['id']}"
    put = await service.http.put(path, json={"quantity": 20})
    patched = await service.http.patch(path, json={"quantity": 30})
    canceled = await service.http.delete(path)
    for answer in (put, patched, canceled):
        assert answer.status_code == 200
    assert "etag" not in put.headers
    assert (patched.headers["etag"], canceled.headers["etag"]) == ('"3"', '"4"')


@pytest.mark.parametrize("name", ["price", "limit_price"])
async def test_a_wrong_price_is_reported_under_the_name_that_the_client_used(service: Service, name: str) -> None:
    order_id = await service.resting()
    placed = await service.post({**MARKET, name: "1.000001"})
    market = await service.post({**MARKET, "type": "market", name: "1.1"})
    replaced = await service.http.put(f"/orders/{order_id}", json={name: "1.000001"})
    for answer in (placed, market, replaced):
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert market.json()["detail"] == "Providing a `limit_price` is prohibited for type `market`"
