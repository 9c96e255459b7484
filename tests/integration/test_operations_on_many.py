"""What retry and resolve do to many orders at once: of a list, of a worker, of all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from exchange_adapter.adapter_tables import AdapterTables, HeldQuery
from exchange_adapter.workers import LIVING_KEY, LOCK_SPACE
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.port import BrokenLog, EventStoreError, StoreClosed, StoreOverloaded
from orders.handlers import CommandHandler, MakeCommands
from tests.support.operations_service import OperationsService, operations_service, results

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[OperationsService]:
    """At a venue that can be asked: the service settles doubt by itself."""
    async with operations_service(database_url, Capabilities(queries=True, late_arrival_s=30.0)) as service:
        yield service


@pytest.fixture
async def plain(database_url: str) -> AsyncIterator[OperationsService]:
    async with operations_service(database_url, Capabilities()) as service:
        yield service


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


async def test_what_changed_after_until_takes_no_place_on_a_page(plain: OperationsService) -> None:
    changed, _ = plain.in_doubt(2)
    as_of = plain.client.store.head()
    plain.does(changed, c.CancelOrder)
    plain.catch_up()
    tables = AdapterTables(plain.url)
    page = await tables.held(HeldQuery(until=as_of, limit=1))
    tables.close()
    assert (changed not in [row.order_id for row in page.rows], page.next) == (True, None)


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
