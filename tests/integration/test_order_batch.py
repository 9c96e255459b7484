"""POST /orders/batch on a real PostgreSQL: one commit, whole or not at all, whatever happens in the middle of it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from orders.bounds import MAX_BATCH_BODY_BYTES, MAX_BATCH_ORDERS, MAX_CLIENT_ORDER_ID
from tests.integration.test_command_api import NOT_PLACED, SETTLED_S, service_on
from tests.support.api_process import api_process
from tests.support.command_service import EURUSD
from tests.support.postgres import passable_folder
from tests.support.postgres_proxy import Fault, PostgresProxy
from tests.support.waiting import wait_until, wait_until_async

BATCH = [{**EURUSD, "client_order_id": f"batch-{number}"} for number in range(600)]
APPEND_LOCK = "select pg_advisory_lock(1869767794, 1)"  # the one that append_events takes


def statuses(answer: httpx.Response) -> set[int]:
    assert answer.status_code == 200, answer.text
    return {result["status"] for result in answer.json()}


def events(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select count(*) from order_events").fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def appends_held(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Nobody else appends until the end of the block."""
    with psycopg.connect(url, autocommit=True) as holder:
        holder.execute(APPEND_LOCK)
        yield holder


def an_append_waits(holder: psycopg.Connection[Any]) -> bool:
    return holder.execute("select 1 from pg_locks where locktype = 'advisory' and not granted").fetchone() is not None


def no_append_is_under_way(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "select 1 from pg_stat_activity where application_name like '%append' and state = 'active'"
        )
        return found.fetchone() is None


def test_of_a_batch_all_or_nothing_is_there_after_a_kill_in_the_middle_and_a_repeat_completes_it(
    renewed_database_url: str,
) -> None:
    with passable_folder() as folder, ThreadPoolExecutor(1) as threads:
        with api_process(folder, renewed_database_url) as api:
            with appends_held(renewed_database_url) as holder:
                asked = threads.submit(httpx.post, f"{api.url}/orders/batch", json=BATCH, trust_env=False)
                wait_until(lambda: an_append_waits(holder), what="the batch to wait for its turn")
                api.worker.send_signal(signal.SIGKILL)
                assert isinstance(asked.exception(10), httpx.TransportError)
            wait_until(lambda: no_append_is_under_way(renewed_database_url), what="the end of the append")
            assert events(renewed_database_url) in (0, len(BATCH))
            api.process.kill()
        with api_process(folder, renewed_database_url) as api:
            repeated = httpx.post(f"{api.url}/orders/batch", json={"orders": BATCH}, trust_env=False)
            assert statuses(repeated) in ({200}, {201})
    assert events(renewed_database_url) == len(BATCH)


@pytest.mark.anyio
async def test_a_batch_whose_answer_is_lost_is_settled_and_told_as_placed(renewed_database_url: str) -> None:
    with PostgresProxy(renewed_database_url) as proxy:
        async with service_on(renewed_database_url, proxy=proxy) as service:
            await service.place()
            proxy.arm(Fault.LOSE_ANSWER)
            assert statuses(await service.http.post("/orders/batch", json=BATCH)) == {201}
    assert events(renewed_database_url) == len(BATCH) + 1


@pytest.mark.anyio
async def test_a_batch_that_stays_unknown_is_the_exact_500_and_safe_to_repeat(renewed_database_url: str) -> None:
    with PostgresProxy(renewed_database_url) as proxy:
        async with service_on(renewed_database_url, proxy=proxy, append_timeout_s=1.0) as service:
            await service.place()
            proxy.arm(Fault.LOSE_ANSWER)
            proxy.refuses = True
            lost = await service.http.post("/orders/batch", json=BATCH)
            proxy.refuses = False
            assert (lost.status_code, lost.json()) == (500, NOT_PLACED)
            assert "location" not in lost.headers

            async def repeated() -> bool:
                answer = await service.http.post("/orders/batch", json=BATCH)
                return answer.status_code == 200 and statuses(answer) == {200}

            await wait_until_async(repeated, within_s=SETTLED_S)
    assert events(renewed_database_url) == len(BATCH) + 1


@pytest.mark.anyio
async def test_a_thousand_orders_as_large_as_they_may_be_fit_one_commit(renewed_database_url: str) -> None:
    def largest(number: int) -> dict[str, Any]:
        key = f"{number:04d}" + '"\\' * ((MAX_CLIENT_ORDER_ID - 4) // 2)
        terms = {"instrument": "US0378331005", "price": f"{10**15}.25", "time_in_force": "gtc"}
        return {**terms, "quantity": 1_000_000_000, "side": "sell", "type": "limit", "client_order_id": key}

    body = json.dumps({"orders": [largest(number) for number in range(MAX_BATCH_ORDERS)]}).encode()
    assert len(body) < MAX_BATCH_BODY_BYTES
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    async with service_on(renewed_database_url) as service:
        answer = await service.http.post("/orders/batch", content=body, headers=headers)
        assert statuses(answer) == {201}
        orders = [result["order"] for result in answer.json()]
        assert [order["position"] for order in orders] == list(range(1, MAX_BATCH_ORDERS + 1))
        alone = await service.http.post("/orders", json=largest(7))
        assert (alone.status_code, alone.json()) == (200, orders[7])


@pytest.mark.anyio
async def test_of_two_batches_with_the_same_keys_at_once_each_order_is_placed_by_one(renewed_database_url: str) -> None:
    async with service_on(renewed_database_url) as one, service_on(renewed_database_url) as other:
        first, second = await asyncio.gather(
            one.http.post("/orders/batch", json=BATCH), other.http.post("/orders/batch", json=BATCH[::-1])
        )
        told = [result["status"] for result in first.json()], [result["status"] for result in second.json()][::-1]
        assert [sorted(pair) for pair in zip(*told, strict=True)] == [[200, 201]] * len(BATCH)
    assert events(renewed_database_url) == len(BATCH)
