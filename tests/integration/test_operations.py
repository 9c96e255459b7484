"""What operators see of orders that are held, and what their retry and resolve do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID, uuid4

import psycopg
import pytest

from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery, Phase
from orders.eventstore.port import Recorded
from orders.handlers import CommandHandler
from tests.support.operations_service import CALL_TIMEOUT_S, OperationsService, operations_service, results

pytestmark = pytest.mark.anyio

LATE_S = 30.0
# 2 s until a claimed attempt is called, the call's own time, and how late it may still arrive there.
COUNTS_AFTER_S = 2.0 + CALL_TIMEOUT_S + LATE_S
VENUE = Capabilities(queries=True, cancels=True, replaces=True, late_arrival_s=LATE_S)
ONLY_PLACES = Capabilities()


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[OperationsService]:
    async with operations_service(database_url, VENUE) as service:
        yield service


@pytest.fixture
async def plain(database_url: str) -> AsyncIterator[OperationsService]:
    async with operations_service(database_url, ONLY_PLACES) as service:
        yield service


async def test_the_list_shows_what_is_held_oldest_first_and_what_can_be_done(service: OperationsService) -> None:
    (doubtful,) = service.in_doubt(limit_price="1.1")
    claimed_at = service.at
    service.does(doubtful, c.CancelOrder)
    service.client.place()
    service.pass_s(5)
    (parked,) = service.parked()
    service.lives("w-1")
    first, second = await service.get("/ops/parked")
    assert datetime.fromisoformat(first.pop("attempted_at")) == claimed_at
    assert datetime.fromisoformat(first.pop("since")) == claimed_at
    assert (datetime.fromisoformat(first.pop("not_placed_from")) - claimed_at).total_seconds() == COUNTS_AFTER_S
    assert first == {
        "order_id": str(doubtful),
        "account": "local",
        "client_order_id": None,
        "symbol": "EURUSD",
        "side": "buy",
        "quantity": 10,
        "limit_price": "1.10000",
        "delivery": "in_doubt",
        "attempts": 1,
        "attempts_in_doubt": [1],
        "worker": "w-1",
        "worker_alive": True,
        "reason": "no answer within 10 s",
        "pending": ["cancel"],
        "needs_person": False,
        "can": ["resolve"],
    }
    assert (second["order_id"], second["delivery"], second["can"]) == (str(parked), "parked", ["retry"])
    assert (second["reason"], second["not_placed_from"]) == ("8 attempts failed", None)
    assert second["needs_person"]
    assert datetime.fromisoformat(second["since"]) == service.at


async def test_the_list_tells_who_needs_a_person(service: OperationsService, plain: OperationsService) -> None:
    settling, asked_long = service.in_doubt(2)
    with psycopg.connect(service.url) as connection:
        alert = "insert into adapter_alerts values ('order_held', %s, now(), now(), 1, null, 'w-1', 'asked for long')"
        connection.execute(alert, (str(asked_long),))
    needing = {one["order_id"]: one["needs_person"] for one in await service.get("/ops/parked")}
    assert needing == {str(settling): False, str(asked_long): True}
    assert all(one["needs_person"] for one in await plain.get("/ops/parked"))


async def test_the_list_names_the_attempts_that_are_in_doubt_and_no_others(service: OperationsService) -> None:
    (order_id,) = service.client.place()
    service.does(order_id, c.StartSubmit, worker="w-1")
    service.does(order_id, c.RecordSubmitFailed, attempts=(1,), reason="no connection")
    service.does(order_id, c.StartSubmit, worker="w-2")
    service.does(order_id, c.RecordSubmitInDoubt, attempt=2, reason="timeout")
    service.catch_up()
    (held,) = await service.get("/ops/parked")
    assert (held["attempts"], held["attempts_in_doubt"]) == (2, [2])
    assert (held["worker"], held["worker_alive"], held["reason"]) == ("w-2", False, "timeout")


async def test_the_list_is_filtered_and_paged(service: OperationsService) -> None:
    doubtful = service.in_doubt(3, worker="w-1") + service.in_doubt(2, worker="w-2")
    parked = service.parked(2)
    usd = service.parked(symbol="USDCAD")

    async def ids(**filters: object) -> list[str]:
        return [order["order_id"] for order in await service.get("/ops/parked", **filters)]

    assert await ids(delivery="in_doubt") == [str(order_id) for order_id in doubtful]
    assert await ids(worker="w-2") == [str(order_id) for order_id in doubtful[3:]]
    assert await ids(symbol="USDCAD") == [str(usd[0])]
    assert await ids(order_id=parked[1]) == [str(parked[1])]
    path, pages = "/ops/parked?limit=3", list[list[str]]()
    while path:
        answer = await service.http.get(path)
        assert int(answer.headers["Orders-Position"]) == service.client.store.head()
        pages.append([order["order_id"] for order in answer.json()])
        path = str(answer.links["next"]["url"]) if "next" in answer.links else ""
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [one for page in pages for one in page] == [str(order_id) for order_id in (*doubtful, *parked, *usd)]


async def test_wrong_parameters_are_named(service: OperationsService) -> None:
    held = "limit=0 limit=1001 delivery=queued order_id=7 cursor=x sort=up worker= worker=%00 symbol=%20"
    lists = [f"/ops/{name}?limit=1" for name in ("workers", "alerts")]
    for path in (*(f"/ops/parked?{one}" for one in held.split()), *lists):
        answer = await service.http.get(path)
        assert answer.status_code == 422, path
        assert [error["field"] for error in answer.json()["errors"]] == [path.partition("?")[2].partition("=")[0]]


async def test_a_parked_order_that_is_retried_is_in_the_queue_again_and_its_history_says_who_and_why(
    service: OperationsService,
) -> None:
    (order_id,) = service.parked()
    answer = await service.post(f"/ops/parked/{order_id}/retry")
    assert answer == {"order_id": str(order_id), "result": "retried"}
    assert service.client.order(order_id).delivery is Delivery.QUEUED
    last = service.client.store.read_last(order_id)
    assert last is not None
    assert (last.event.by, getattr(last.event, "reason", None)) == ("operator local", "the exchange said so")


async def test_what_was_settled_is_not_shown_even_before_the_table_has_it(service: OperationsService) -> None:
    (order_id,) = service.parked()
    await service.post(f"/ops/parked/{order_id}/retry")
    service.catch_up()
    with psycopg.connect(service.url) as connection:
        connection.execute("update adapter_duties set delivery = 'parked'")
    assert await service.get("/ops/parked") == []
    assert results(await service.post("/ops/parked/retry", all=True)) == {}


async def test_only_what_fits_the_order_can_be_done(service: OperationsService) -> None:
    (parked,), (doubtful,), (queued,) = service.parked(), service.in_doubt(), service.client.place()
    refused = await service.refused(f"/ops/parked/{doubtful}/retry", 409)
    assert refused["detail"] == f"Order with ID: {doubtful} is in doubt: resolve it first"
    refused = await service.refused(f"/ops/parked/{parked}/resolve", 409, outcome="placed")
    assert refused["detail"] == f"Order with ID: {parked} is open and parked, not in_doubt"
    await service.refused(f"/ops/parked/{queued}/retry", 409)
    for unknown in (uuid4(), "7"):
        missing = await service.refused(f"/ops/parked/{unknown}/resolve", 404, outcome="placed")
        assert missing["detail"] == f"Order with ID: {unknown} does not exist"


async def test_placed_settles_at_once_and_not_placed_only_when_nothing_can_arrive_any_more(
    service: OperationsService,
) -> None:
    placed, absent = service.in_doubt(2)
    await service.post(f"/ops/parked/{placed}/resolve", outcome="placed")
    assert service.client.order(placed).delivery is Delivery.ACKED
    service.pass_s(COUNTS_AFTER_S - 0.5)
    refused = await service.refused(f"/ops/parked/{absent}/resolve", 409, outcome="not_placed")
    assert refused["detail"].endswith("may still reach the exchange: not placed counts in 1 s")
    assert service.client.order(absent).delivery is Delivery.IN_DOUBT
    service.pass_s(0.5)
    await service.post(f"/ops/parked/{absent}/resolve", outcome="not_placed")
    assert service.client.order(absent).delivery is Delivery.QUEUED


async def test_the_newest_attempt_in_doubt_counts(database_url: str) -> None:
    resending = Capabilities(deduplicates=True, late_arrival_s=LATE_S)
    async with operations_service(database_url, resending) as service:
        (order_id,) = service.in_doubt()
        service.pass_s(20)
        service.does(order_id, c.StartSubmit, worker="w-1")
        service.does(order_id, c.RecordSubmitInDoubt, attempt=2, reason="timeout")
        service.pass_s(20)
        service.does(order_id, c.StartSubmit, worker="w-1")
        service.does(order_id, c.RecordSubmitFailed, attempts=(3,), reason="no connection")
        service.catch_up()
        (held,) = await service.get("/ops/parked")
        assert held["attempts_in_doubt"] == [1, 2]
        service.pass_s(COUNTS_AFTER_S - 20 - 1)
        refused = await service.refused(f"/ops/parked/{order_id}/resolve", 409, outcome="not_placed")
        assert refused["detail"].endswith("not placed counts in 1 s")
        service.pass_s(1)
        await service.post(f"/ops/parked/{order_id}/resolve", outcome="not_placed")


async def test_a_venue_without_a_bound_waits_for_the_call_only_and_the_rest_is_the_persons_word(
    plain: OperationsService,
) -> None:
    (order_id,) = plain.in_doubt()
    plain.pass_s(2.0 + CALL_TIMEOUT_S - 1)
    await plain.refused(f"/ops/parked/{order_id}/resolve", 409, outcome="not_placed")
    plain.pass_s(1)
    await plain.post(f"/ops/parked/{order_id}/resolve", outcome="not_placed")


async def test_a_held_cancel_ends_the_order_that_was_not_placed(service: OperationsService) -> None:
    (order_id,) = service.in_doubt()
    service.does(order_id, c.CancelOrder)
    service.pass_s(COUNTS_AFTER_S)
    await service.post(f"/ops/parked/{order_id}/resolve", outcome="not_placed")
    order = service.client.order(order_id)
    assert (order.phase, order.closed_by) == (Phase.CANCELED, "never_placed")


async def test_a_held_cancel_is_rejected_where_the_exchange_that_has_the_order_cannot_cancel(
    plain: OperationsService,
) -> None:
    (order_id,) = plain.in_doubt()
    plain.does(order_id, c.CancelOrder)
    await plain.post(f"/ops/parked/{order_id}/resolve", outcome="placed")
    last = plain.client.store.read_last(order_id)
    assert last is not None
    assert (type(last.event).__name__, getattr(last.event, "evidence", None)) == ("CancelRejected", "venue_cannot")
    assert plain.client.order(order_id).phase is Phase.OPEN


async def test_a_long_list_leaves_room_for_clients_reads(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange_adapter.operations.ACTIONS_AT_ONCE", 2)
    events_after, at_once, most = CommandHandler.events_after, 0, 0

    async def counted(self: CommandHandler, order_id: UUID, version: int) -> list[Recorded]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await events_after(self, order_id, version)
        finally:
            at_once -= 1

    monkeypatch.setattr(CommandHandler, "events_after", counted)
    async with operations_service(database_url, VENUE) as service:
        service.parked(6)
        assert len(await service.get("/ops/parked", limit=1000)) == 6
    assert most == 2
