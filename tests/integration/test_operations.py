"""What operators see of orders that are held, and what their retry and resolve do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from exchange_adapter.workers import LIVING_KEY, LOCK_SPACE
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery, Phase
from orders.eventstore.port import BrokenLog, EventStoreError, Recorded, StoreClosed, StoreOverloaded
from orders.handlers import CommandHandler, MakeCommands
from tests.support.operations_service import CALL_TIMEOUT_S, OperationsService, operations_service

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


def results(answer: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {one["order_id"]: one["result"] for one in answer["results"]}


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
        "can": ["resolve"],
    }
    assert (second["order_id"], second["delivery"], second["can"]) == (str(parked), "parked", ["retry"])
    assert (second["reason"], second["not_placed_from"]) == ("8 attempts failed", None)
    assert datetime.fromisoformat(second["since"]) == service.at


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
    lists = [f"/ops/{name}?limit=1" for name in ("workers", "alerts", "projections")]
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


async def test_of_many_orders_each_has_its_own_answer(service: OperationsService) -> None:
    parked, doubtful, unknown = service.parked(2), service.in_doubt(), uuid4()
    order_ids = [str(order_id) for order_id in (*parked, *doubtful, unknown)] + ["7", str(parked[0])]
    answer = await service.post("/ops/parked/retry", order_ids=order_ids)
    assert results(answer) == {
        str(parked[0]): "retried",
        str(parked[1]): "retried",
        str(doubtful[0]): "refused",
        str(unknown): "unknown",
        "7": "unknown",
    }
    assert len(answer["results"]) == 5, "an order that stands twice is done once"
    assert (answer["more"], answer["cursor"]) == (False, None)
    (refused,) = [one for one in answer["results"] if one["result"] == "refused"]
    assert refused["reason"].endswith("is in doubt: resolve it first")


async def test_a_dry_run_only_says_what_would_be_done(plain: OperationsService) -> None:
    (parked,), (doubtful,) = plain.parked(), plain.in_doubt()
    head = plain.client.store.head()
    answer = await plain.post("/ops/parked/retry", all=True, dry_run=True)
    assert results(answer) == {str(parked): "would be retried"}
    answer = await plain.post("/ops/parked/resolve", all=True, outcome="placed", dry_run=True)
    assert results(answer) == {str(doubtful): "would be resolved"}
    answer = await plain.post("/ops/parked/resolve", all=True, outcome="not_placed", dry_run=True)
    assert results(answer) == {str(doubtful): "refused"}
    assert plain.client.store.head() == head


@pytest.mark.parametrize("error", [StoreOverloaded("full"), StoreClosed("stops"), BrokenLog("7 is missing")])
async def test_an_order_that_fails_keeps_no_other_from_its_answer(
    service: OperationsService, monkeypatch: pytest.MonkeyPatch, error: EventStoreError
) -> None:
    failing, other = service.parked(2)
    execute_all = CommandHandler.execute_all

    async def fails(self: CommandHandler, order_id: UUID, make: MakeCommands) -> Any:
        if order_id == failing:
            raise error
        return await execute_all(self, order_id, make)

    monkeypatch.setattr(CommandHandler, "execute_all", fails)
    answer = await service.post("/ops/parked/retry", order_ids=[str(failing), str(other)])
    assert results(answer) == {str(failing): "failed", str(other): "retried"}


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


async def test_all_takes_what_the_action_applies_to_in_bounded_steps(
    plain: OperationsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange_adapter.operations.MAX_ACTIONS", 2)
    doubtful, parked = plain.in_doubt(5), plain.parked()
    done: list[str] = []
    body: dict[str, object] = {"all": True, "outcome": "placed"}
    for _ in range(3):
        answer = await plain.post("/ops/parked/resolve", **body)
        done += results(answer)
        body["cursor"] = answer["cursor"]
    assert not answer["more"]
    assert done == [str(order_id) for order_id in doubtful]
    assert plain.client.order(parked[0]).delivery is Delivery.PARKED


async def test_all_leaves_out_what_the_service_settles_by_itself(service: OperationsService) -> None:
    (doubtful,) = service.in_doubt()
    answer = await service.post("/ops/parked/resolve", all=True, outcome="placed")
    assert (answer["results"], answer["skipped"]) == ([], 1)
    assert service.client.order(doubtful).delivery is Delivery.IN_DOUBT
    answer = await service.post("/ops/parked/resolve", worker="w-1", outcome="placed")
    assert (results(answer), answer["skipped"]) == ({str(doubtful): "resolved"}, 0)


async def test_until_keeps_to_the_orders_that_were_seen(plain: OperationsService) -> None:
    seen, changed = plain.in_doubt(2)
    shown = await plain.post("/ops/parked/resolve", all=True, outcome="placed", dry_run=True)
    assert shown["as_of"] == plain.client.store.head()
    plain.does(changed, c.CancelOrder)
    plain.in_doubt()
    answer = await plain.post("/ops/parked/resolve", all=True, outcome="placed", until=shown["as_of"])
    assert results(answer) == {str(seen): "resolved"}
    assert answer["as_of"] == shown["as_of"]


async def test_an_order_that_changed_after_until_is_left_out_even_before_the_table_has_it(
    plain: OperationsService,
) -> None:
    (order_id,) = plain.in_doubt()
    as_of = plain.client.store.head()
    plain.does(order_id, c.CancelOrder)
    plain.catch_up()
    with psycopg.connect(plain.url) as connection:
        connection.execute("update adapter_duties set position = %s", (as_of,))
    assert (await plain.post("/ops/parked/resolve", all=True, outcome="placed", until=as_of))["results"] == []


async def test_a_cursor_is_taken_by_its_own_action_and_worker_only(
    plain: OperationsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange_adapter.operations.MAX_ACTIONS", 1)
    order_ids = [str(order_id) for order_id in plain.parked(2)]
    cursor = (await plain.post("/ops/parked/retry", all=True, dry_run=True))["cursor"]
    assert len((await plain.post("/ops/parked/retry", all=True, dry_run=True, cursor=cursor))["results"]) == 1
    for action, chosen in (("resolve", {"all": True}), ("retry", {"worker": "w"}), ("retry", {"order_ids": order_ids})):
        more = {"outcome": "placed"} if action == "resolve" else {}
        refused = await plain.refused(f"/ops/parked/{action}", 422, **chosen, **more, cursor=cursor)
        assert [error["field"] for error in refused["errors"]] == ["cursor"]
    refused = await plain.refused("/ops/parked/retry", 422, order_ids=order_ids, until=1)
    assert [error["field"] for error in refused["errors"]] == ["until"]


@pytest.mark.parametrize("until", [-1, True, "7", 2**63, 1.5])
async def test_until_is_a_position(plain: OperationsService, until: object) -> None:
    refused = await plain.refused("/ops/parked/retry", 422, all=True, until=until)
    assert [error["field"] for error in refused["errors"]] == ["until"]


async def test_what_is_refused_does_not_keep_the_rest_from_its_turn(
    plain: OperationsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange_adapter.operations.MAX_ACTIONS", 1)
    plain.in_doubt(2)
    first = await plain.post("/ops/parked/resolve", all=True, outcome="not_placed")
    second = await plain.post("/ops/parked/resolve", all=True, outcome="not_placed", cursor=first["cursor"])
    assert set(results(first)).isdisjoint(results(second))
    assert (first["more"], second["more"]) == (True, False)


async def test_a_workers_orders_are_settled_together_once_it_is_gone(service: OperationsService) -> None:
    mine, others = service.in_doubt(2, worker="w-1"), service.in_doubt(1, worker="w-2")
    service.lives("w-1")
    refused = await service.refused("/ops/parked/resolve", 409, worker="w-1", outcome="placed")
    assert refused["detail"] == "Worker w-1 lives: stop it first, or name the orders"
    service.lives("w-2", silent_s=60)
    answer = await service.post("/ops/parked/resolve", worker="w-2", outcome="placed")
    assert results(answer) == {str(others[0]): "resolved"}
    assert [service.client.order(order_id).delivery for order_id in mine] == [Delivery.IN_DOUBT] * 2


async def test_a_silent_worker_lives_as_long_as_it_holds_a_lock(service: OperationsService) -> None:
    (order_id,) = service.in_doubt(worker="w-1")
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock_shared(%s, %s)", (LOCK_SPACE, LIVING_KEY))
        service.lives("w-1", silent_s=60, backend_pid=connection.info.backend_pid)
        await service.refused("/ops/parked/resolve", 409, worker="w-1", outcome="placed")
        assert [one["worker_alive"] for one in await service.get("/ops/parked")] == [True]
        assert [one["alive"] for one in await service.get("/ops/workers")] == [True]
        connection.execute("select pg_advisory_unlock_all(), pg_advisory_lock_shared(%s)", (LOCK_SPACE,))
        assert [one["worker_alive"] for one in await service.get("/ops/parked")] == [False], "a lock of something else"
    answer = await service.post("/ops/parked/resolve", worker="w-1", outcome="placed")
    assert results(answer) == {str(order_id): "resolved"}


async def test_wrong_fields_are_named(service: OperationsService) -> None:
    answer = await service.http.post("/ops/parked/resolve", json={"all": True, "worker": "w", "outcome": "no"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["all", "outcome", "reason"]
    assert (await service.http.post("/ops/parked/retry", content=b"{")).status_code == 400
    text = {"content-type": "text/plain"}
    assert (await service.http.post("/ops/parked/retry", content=b"{}", headers=text)).status_code == 415
