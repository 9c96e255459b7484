"""The command API on a real PostgreSQL and behind the product's own server: races, lost answers, endless bodies."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import httpx
import psycopg
import pytest

from load.servers import Server, order_api
from orders.bounds import MAX_BODY_BYTES
from orders.domain import commands as c
from orders.domain.values import order_id_for_key
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from tests.support.command_service import EURUSD, LIMIT, CommandService, command_service
from tests.support.postgres import fresh_database, passable_folder
from tests.support.postgres_proxy import Fault, PostgresProxy
from tests.support.waiting import wait_until, wait_until_async

SETTLED_S = 10.0  # for an append that a broken connection left under way
NOT_PLACED = {"message": "Internal server error while placing the order"}


@asynccontextmanager
async def service_on(
    url: str, *, proxy: PostgresProxy | None = None, append_timeout_s: float = 8.0, venue_wait_s: float = 0.05
) -> AsyncIterator[CommandService]:
    """Through the proxy go commands alone, so that its fault meets one."""
    store = PostgresEventStore(proxy.url if proxy else url, application_name="command api")
    followed, hints = PostgresEventStore(url, application_name="command api live"), PostgresHints(url)
    try:
        async with command_service(
            store, hints, append_timeout_s=append_timeout_s, venue_wait_s=venue_wait_s, followed=followed
        ) as service:
            yield service
    finally:
        hints.close()
        followed.close()
        store.close()


def end_appends(url: str) -> None:
    """Ends the idle sessions through which the store appends and reads."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name like 'command api%' and datname = current_database()"
        )


@pytest.mark.anyio
async def test_of_a_hundred_posts_with_one_key_one_places_the_order(renewed_database_url: str) -> None:
    async with service_on(renewed_database_url) as service, service_on(renewed_database_url) as other:
        answers = await asyncio.gather(
            *(
                (service, other)[number % 2].http.post("/orders", json=EURUSD, headers={"Idempotency-Key": "k"})
                for number in range(100)
            )
        )
        assert service.events(order_id_for_key("local", "k")) == ["OrderPlaced"]
        assert service.store.head() == 1
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 99}
    assert {answer.json()["id"] for answer in answers} == {str(order_id_for_key("local", "k"))}
    assert {answer.headers.get("idempotent-replayed") for answer in answers if answer.status_code == 200} == {"true"}


@pytest.mark.anyio
async def test_of_different_orders_with_one_key_one_is_placed_and_the_others_are_in_conflict(
    renewed_database_url: str,
) -> None:
    async with service_on(renewed_database_url) as service:
        answers = await asyncio.gather(
            *(
                service.http.post("/orders", json={**EURUSD, "quantity": quantity, "client_order_id": "k"})
                for quantity in range(1, 41)
            )
        )
        assert service.store.head() == 1
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 39}


@pytest.mark.anyio
async def test_a_commit_whose_answer_is_lost_is_settled_and_told_as_placed(renewed_database_url: str) -> None:
    with PostgresProxy(renewed_database_url) as proxy:
        async with service_on(renewed_database_url, proxy=proxy) as service:
            await service.place()
            proxy.arm(Fault.LOSE_ANSWER)
            answer = await service.http.post("/orders", json={**EURUSD, "client_order_id": "k"})
            assert answer.status_code == 201
            assert service.events(answer.json()["id"]) == ["OrderPlaced"]


@pytest.mark.anyio
async def test_a_commit_that_stays_unknown_is_the_exact_500_and_says_where_the_order_may_be(
    renewed_database_url: str,
) -> None:
    with PostgresProxy(renewed_database_url) as proxy:
        async with service_on(renewed_database_url, proxy=proxy, append_timeout_s=1.0) as service:
            await service.place()
            proxy.arm(Fault.LOSE_ANSWER)
            proxy.refuses = True
            lost = await service.http.post("/orders", json={**EURUSD, "client_order_id": "k"})
            proxy.refuses = False
            assert (lost.status_code, lost.json()) == (500, NOT_PLACED)
            assert lost.headers["content-type"] == "application/json"
            assert lost.headers["location"] == f"/orders/{order_id_for_key('local', 'k')}"
            assert int(lost.headers["retry-after"]) >= 1
            assert lost.headers["x-trace-id"]

            async def repeated() -> httpx.Response | None:
                answer = await service.http.post("/orders", json={**EURUSD, "client_order_id": "k"})
                return answer if answer.status_code == 200 else None

            again = await wait_until_async(repeated, within_s=SETTLED_S)
            assert again is not None
            assert again.headers["idempotent-replayed"] == "true"
            assert service.events(again.json()["id"]) == ["OrderPlaced"]


@pytest.mark.anyio
async def test_a_database_that_is_away_is_the_exact_500_without_a_location(renewed_database_url: str) -> None:
    with PostgresProxy(renewed_database_url) as proxy:
        async with service_on(renewed_database_url, proxy=proxy, append_timeout_s=0.5) as service:
            await service.place()
            proxy.refuses = True
            end_appends(renewed_database_url)
            lost = await service.http.post("/orders", json=EURUSD)
            proxy.refuses = False
            assert (lost.status_code, lost.json()) == (500, NOT_PLACED)
            assert "retry-after" in lost.headers
            assert "location" not in lost.headers
            assert service.writer.last_position == 1


@pytest.mark.anyio
async def test_a_cancel_races_the_attempt_to_send_and_one_of_them_wins(renewed_database_url: str) -> None:
    async with service_on(renewed_database_url) as service:
        for _ in range(10):
            order_id = UUID((await service.place(**LIMIT))["id"])
            canceled, sent = await asyncio.gather(
                service.http.delete(f"/orders/{order_id}"),
                service.venue_does(order_id, c.StartSubmit, worker="w"),
                return_exceptions=True,
            )
            assert isinstance(canceled, httpx.Response)
            names = service.events(order_id)
            assert names in (
                ["OrderPlaced", "OrderCanceled"],
                ["OrderPlaced", "SubmitStarted", "CancelRequested"],
            )
            assert (canceled.status_code, isinstance(sent, Exception)) == (
                (200, True) if names[-1] == "OrderCanceled" else (202, False)
            )


@pytest.fixture(scope="module")
def api(postgres_server: object, migrated_template: str) -> Iterator[Server]:
    """The product's own API process."""
    with (
        passable_folder() as folder,
        fresh_database(postgres_server.url, migrated_template) as url,  # type: ignore[attr-defined]
        order_api(folder, url) as server,
    ):
        yield server


def test_an_endless_body_is_refused_before_it_is_read(api: Server) -> None:
    sent_bytes = 0
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"POST /orders HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
        connection.setblocking(False)
        answer = b""

        def answered() -> bool:
            nonlocal sent_bytes, answer
            with suppress(BlockingIOError):
                answer += connection.recv(65536)
            if not answer:
                with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    sent_bytes += connection.send(chunk)
            return bool(answer)

        wait_until(answered, what="an answer to a body that does not end")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent_bytes < 100 * MAX_BODY_BYTES


def test_a_body_that_announces_too_much_is_refused_unread(api: Server) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_an_order_is_placed_through_the_server_as_through_the_app(api: Server) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", trust_env=False) as http:
        placed = http.post("/orders", json=LIMIT)
        assert placed.status_code == 201
        assert placed.headers["location"] == f"/orders/{placed.json()['id']}"
        assert http.get(placed.headers["location"]).json() == placed.json()
        assert http.head("/health/live").status_code == 200
        document = http.get("/openapi.json").json()
        assert {"get", "post"} <= set(document["paths"]["/orders"])
        assert {"get", "put", "patch", "delete"} <= set(document["paths"]["/orders/{order_id}"])
