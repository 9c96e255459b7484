"""Reads wait for what they promise, or are refused in time."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from orders.eventstore.memory import MemoryEventStore
from projections.order_status import ORDER_STATUS
from projections.registry import PROJECTIONS
from projections.tables import apply_to, create_schema, make_tables
from tests.support.read_service import ReadService, ids, read_service
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.anyio


@pytest.fixture
async def unprojected(database_url: str) -> AsyncIterator[ReadService]:
    """Without a projector."""
    async with read_service(database_url) as service:
        yield service


@pytest.fixture
async def service(unprojected: ReadService) -> AsyncIterator[ReadService]:
    with unprojected.projecting():
        yield unprojected


async def test_a_list_after_an_own_write_is_never_older(service: ReadService) -> None:
    for _ in range(40):
        with service.committing():
            order_id = service.desk.place()
        newest, *_ = ids(await service.get("/orders", limit=1))
        assert newest == str(order_id)


async def test_a_list_waits_for_the_position_that_is_asked_for(service: ReadService) -> None:
    for _ in range(10):
        order_id = service.desk.place()
        answer = await service.get("/orders", limit=1, min_position=service.store.head())
        assert ids(answer) == [str(order_id)]
        assert int(answer.headers["Orders-Position"]) >= service.store.head()


async def test_a_wait_that_runs_out_is_refused_and_never_answered_with_something_old(
    unprojected: ReadService,
) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()
        assert len(ids(await service.get("/orders", min_position=1))) == 1
    with service.committing():
        service.desk.place()
    refused = await service.get("/orders", wait_ms=50)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    stale = await service.get("/orders", wait_ms=0, min_position=2)
    assert len(ids(stale)) == 1
    assert stale.headers["Orders-Position"] == "1"


async def test_one_wait_serves_many_requests_as_soon_as_the_projector_is_there(unprojected: ReadService) -> None:
    service = unprojected
    with service.committing():
        service.desk.place()
    waiting = [asyncio.create_task(service.get("/orders")) for _ in range(50)]

    async def all_wait() -> bool:
        return len(service.side.checkpoints._waiters[ORDER_STATUS.name]) == 50

    await wait_until_async(all_wait, what="50 reads that wait")
    with service.projecting():
        for answer in await asyncio.gather(*waiting):
            assert len(ids(answer)) == 1


async def test_what_was_there_before_this_process_is_waited_for(unprojected: ReadService) -> None:
    service = unprojected
    service.desk.place()
    assert (await service.get("/orders", wait_ms=50)).status_code == 503
    with service.projecting():
        assert len(ids(await service.get("/orders"))) == 1


async def test_what_needs_no_table_holds_what_the_feed_has_told(unprojected: ReadService) -> None:
    """So a client finds where to begin at a process that has committed nothing yet."""
    unprojected.desk.place()
    head = unprojected.store.head()

    async def told() -> bool:
        return (await unprojected.get("/instruments")).headers["Orders-Position"] == str(head)

    await wait_until_async(told, what="the feed's position")


async def test_lists_wait_out_a_rebuild(service: ReadService) -> None:
    with service.committing():
        for _ in range(20):
            service.desk.place()
    assert len(ids(await service.get("/orders"))) == 20
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("drop schema projection_order_status cascade")
        assert make_tables(connection, ORDER_STATUS)
    assert len(ids(await service.get("/orders"))) == 20


async def test_rows_are_never_of_another_position_than_the_answer_says_even_in_the_middle_of_a_swap(
    unprojected: ReadService,
) -> None:
    service, live, coming = unprojected, ORDER_STATUS.schema, f"{ORDER_STATUS.schema}_coming"
    with service.projecting():
        service.desk.place()
        assert len(ids(await service.get("/orders", min_position=1))) == 1
    service.desk.place()
    with psycopg.connect(service.url) as swapping, psycopg.connect(service.url, autocommit=True) as looking:
        with swapping.cursor() as cursor:
            create_schema(cursor, ORDER_STATUS, coming)
            apply_to(cursor, ORDER_STATUS, coming, service.store.read_log(after=0, limit=10))
            cursor.execute(f"lock table {live}.orders")  # where the read waits, when it has found `reached`
            reading = asyncio.create_task(service.get("/orders", wait_ms=0))

            async def waits() -> bool:
                return bool(looking.execute("select from pg_locks where not granted").fetchall())

            await wait_until_async(waits, what="the read to wait in the middle of its tables")
            cursor.execute(f"alter schema {live} rename to {live}_old; alter schema {coming} rename to {live}")
            cursor.execute("update follower_checkpoint set position = 2, generation = 2 where name = 'order_status'")
        swapping.commit()
        answer = await reading
    assert (len(ids(answer)), answer.headers["Orders-Position"]) == (2, "2")


async def test_tables_whose_columns_have_other_types_are_read_all_the_same(service: ReadService) -> None:
    with service.committing():
        service.desk.place()
    await service.get("/orders")
    await asyncio.gather(*(service.get("/orders", wait_ms=0) for _ in range(20)))  # every connection prepares it
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("alter table projection_order_status.orders alter symbol type varchar(32)")
    for answer in await asyncio.gather(*(service.get("/orders", wait_ms=0) for _ in range(20))):
        assert len(ids(answer)) == 1


async def test_a_query_that_fails_in_an_unforeseen_way_is_refused_for_now(service: ReadService) -> None:
    with service.committing():
        service.desk.place()
    await service.get("/orders")
    with psycopg.connect(service.url, autocommit=True) as connection:
        connection.execute("alter table projection_order_status.orders alter account type integer using 0")
    assert (await service.get("/orders", wait_ms=0)).status_code == 503


async def test_connections_that_were_lost_while_idle_are_replaced_unnoticed(service: ReadService) -> None:
    with service.committing():
        service.desk.place()
    await service.get("/orders")
    await asyncio.gather(*(service.get("/orders", wait_ms=0) for _ in range(20)))
    with psycopg.connect(service.url, autocommit=True) as connection:
        ours = "select {} from pg_stat_activity where application_name = 'orders reads'"
        killed = connection.execute(ours.format("pg_terminate_backend(pid)")).fetchall()
        wait_until(lambda: not connection.execute(ours.format("pid")).fetchall(), what="the end of the backends")
    assert len(killed) > 1
    for answer in await asyncio.gather(*(service.get("/orders", wait_ms=0) for _ in range(20))):
        assert len(ids(answer)) == 1


async def test_reads_go_on_when_every_connection_is_lost(renewed_database_url: str) -> None:
    async with read_service(renewed_database_url) as service:
        with service.projecting():
            with service.committing():
                service.desk.place()
            assert len(ids(await service.get("/orders"))) == 1
            with psycopg.connect(service.url, autocommit=True) as connection:
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where pid <> pg_backend_pid() and datname = current_database() and backend_type = 'client backend'"
                )
            with service.committing():
                service.desk.place()
            assert len(ids(await service.get("/orders"))) == 2


async def test_without_a_database_reads_are_refused_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.read_pool.CONNECT_TIMEOUT_S", 0.6)
    nowhere = "postgresql://orders@127.0.0.1:9/orders"
    desk = TradingDesk(MemoryEventStore())
    desk.place()
    async with read_service(nowhere, store=desk.store) as service:
        answer = await service.get("/orders", wait_ms=0)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "does not answer" in answer.json()["detail"]


async def test_the_lag_of_each_projection_and_whether_it_is_followed(unprojected: ReadService) -> None:
    service = unprojected
    with service.projecting():
        service.desk.place()

        async def followed() -> bool:
            lags = await service.side.reads.lags()
            return [(one.name, one.position, one.lag_events, one.followed) for one in lags] == [
                (projection.name, 1, 0, True) for projection in PROJECTIONS
            ]

        await wait_until_async(followed, what="every projection at position 1")
    service.desk.place()

    async def unfollowed() -> bool:
        """The database ends a lock a moment after its connection."""
        return not any(one.followed for one in await service.side.reads.lags())

    await wait_until_async(unfollowed, what="the end of the locks")
    assert [one.lag_events for one in await service.side.reads.lags()] == [1] * len(PROJECTIONS)
