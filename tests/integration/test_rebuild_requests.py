"""An operator asks for a rebuild over HTTP; a projector carries it out, one at a time, through its own restarts."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, cast

import httpx
import psycopg
import pytest
from litestar import Litestar

from order_service.api.problem_details import Problem, Problems
from orders import takeover
from orders.api.problems import PROBLEMS as COMMAND_PROBLEMS
from orders.domain.instruments import BUILT_IN
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.read_threads import ReadThreads
from orders.follower import Checkpoint
from projections import rebuild_requests
from projections.api.operators import operators_router
from projections.api.problems import PROBLEMS
from projections.order_status import ORDER_STATUS
from projections.queries import AskedRebuild
from projections.read_side import read_side
from projections.rebuild import Comparison, rebuilding
from projections.rebuild_requests import RebuildsAskedFor, ask_for_rebuild
from projections.registry import PROJECTIONS
from projections.trades import TRADES
from tests.support.projection_rows import wait_for_rows
from tests.support.read_service import projecting, wrong_fields
from tests.support.rebuilds import change, checkpoint_of, follow
from tests.support.trading_desk import OPENING, TradingDesk
from tests.support.waiting import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild_requests, "REBUILD_ASKED_S", 0.05)


@pytest.fixture
def store(database_url: str) -> Iterator[PostgresEventStore]:
    store = PostgresEventStore(database_url)
    desk = TradingDesk(store)
    for _ in range(4):
        desk.place(price="1.1")
    yield store
    store.close()


@pytest.fixture
async def client(database_url: str, store: PostgresEventStore) -> AsyncIterator[httpx.AsyncClient]:
    async def ask(name: str, by: str) -> AskedRebuild:
        return await ask_for_rebuild(database_url, PROJECTIONS, name, by)

    with ThreadPoolExecutor(1) as threads:
        side = read_side(
            *(database_url, database_url, store, BUILT_IN, ReadThreads(threads)),
            committed=lambda: 0,
            known=lambda: 7,
            now=lambda: OPENING,
        )
        router = operators_router(side.reads, ask, problem=Problem)
        handlers: Any = Problems(COMMAND_PROBLEMS, PROBLEMS).handlers()
        app = Litestar([router], exception_handlers=handlers, openapi_config=None)
        transport = httpx.ASGITransport(cast(Any, app))
        await side.pool.open()
        async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
            yield client
        await side.pool.close()


def state(url: str, name: str) -> tuple[str | None, str | None]:
    with psycopg.connect(url) as connection:
        row = connection.execute("select state, outcome from projection_rebuild where name = %s", [name]).fetchone()
    return row or (None, None)


def wait_for_state(url: str, name: str, wanted: str) -> str | None:
    return wait_until(lambda: state(url, name)[0] == wanted and state(url, name), what=f"{name} {wanted}")[1]


async def test_a_rebuild_that_was_asked_for_is_done_by_the_projector_and_shown(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore
) -> None:
    with projecting(store, database_url):
        for projection in PROJECTIONS:
            wait_for_rows(database_url, projection, 4)
        change(database_url, "update orders set quantity = 7 where placed_position = 1", ORDER_STATUS.schema)
        answer = await client.post("/ops/projections/order_status/rebuild")
        assert (answer.status_code, answer.headers["Orders-Position"]) == (202, "7")
        assert answer.headers["Location"] == "/ops/projections"
        assert (answer.json()["state"], answer.json()["asked_by"]) == ("asked", "operator local")
        outcome = wait_for_state(database_url, "order_status", "done")
    differing = "the tables before were not what the log says: orders (live 4 rows, rebuilt 4)"
    assert outcome == f"live at position 4, generation 2; {differing}"
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(4, 2)
    answer = await client.get("/ops/projections")
    assert (answer.status_code, answer.headers["Orders-Position"]) == (200, "7")
    (shown,) = [one for one in answer.json() if one["name"] == "order_status"]
    rebuilt = shown.pop("rebuild")
    followed = {"position": 4, "lag_events": 0, "followed": False, "failed": None, "generation": 2}
    assert shown == {"name": "order_status", **followed}
    assert (rebuilt["state"], rebuilt["asked_by"], rebuilt["outcome"]) == ("done", "operator local", outcome)
    assert (rebuilt["phase"], rebuilt["position"], rebuilt["target"]) == (None, 4, 4)
    assert rebuilt.keys() == {
        *("state", "asked_at", "asked_by", "started_at", "ended_at"),
        *("phase", "position", "target", "events_per_s", "outcome"),
    }
    assert rebuilt["ended_at"] is not None


async def test_asked_again_it_is_one_rebuild_until_that_is_done(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore
) -> None:
    first = (await client.post("/ops/projections/trades/rebuild")).json()
    assert (await client.post("/ops/projections/trades/rebuild")).json() == first
    with projecting(store, database_url):
        wait_for_state(database_url, "trades", "done")
        assert (await client.post("/ops/projections/trades/rebuild")).json()["asked_at"] > first["asked_at"]
        wait_until(lambda: checkpoint_of(database_url, TRADES).generation == 3, what="the second rebuild")


async def test_what_there_is_not_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ops/projections/order/rebuild")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Projection: order does not exist")
    assert (await client.post("/ops/projections/trades/rebuild?fast=1")).status_code == 422
    assert wrong_fields(await client.get("/ops/projections?limit=1")) == ["limit"]
    assert wrong_fields(await client.get("/ops/projections?min_position=8")) == ["min_position"]  # the log has 4


async def test_a_rebuild_goes_on_with_another_projector_where_one_was_stopped(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.filling.REBUILD_BATCH_EVENTS", 1)
    follow(database_url, TRADES, store)
    await client.post("/ops/projections/trades/rebuild")
    apply, applied = rebuild_requests_apply(), threading.Event()

    def once(*args: Any) -> None:
        apply(*args)
        applied.set()

    monkeypatch.setattr("projections.filling.apply_to", once)
    with projecting(store, database_url, [TRADES]) as stop:
        assert applied.wait(10)
        stop.set()
    asked = state(database_url, "trades")[0]
    assert asked in {"running", "done"}
    with projecting(store, database_url, [TRADES]):
        outcome = wait_for_state(database_url, "trades", "done")
    assert outcome == "live at position 4, generation 2; equal to the tables before"


def rebuild_requests_apply() -> Callable[..., None]:
    from projections import filling

    return filling.apply_to


async def test_a_rebuild_from_the_command_line_is_waited_for(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with projecting(store, database_url, [TRADES]):
        with rebuilding(TRADES, store, database_url):
            await client.post("/ops/projections/trades/rebuild")
            wait_until(lambda: "trades is being rebuilt already, by orders replay" in caplog.text, what="the wait")
            assert state(database_url, "trades") == ("asked", None)
        wait_for_state(database_url, "trades", "done")


async def test_a_rebuild_that_cannot_be_done_says_why_and_the_live_tables_stay(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("no rule")

    follow(database_url, TRADES, store)
    monkeypatch.setattr("projections.filling.apply_to", fails)
    await client.post("/ops/projections/trades/rebuild")
    with projecting(store, database_url, [TRADES]):
        assert (
            wait_for_state(database_url, "trades", "failed")
            == "StepFailed: between positions 1 and 4: ValueError: no rule"
        )
    assert checkpoint_of(database_url, TRADES) == Checkpoint(4, 1)


@pytest.mark.parametrize(
    "failure", [psycopg.errors.DiskFull("no room"), psycopg.errors.QueryCanceled("too long"), KeyError("fills")]
)
async def test_what_would_be_the_same_next_time_ends_a_rebuild(
    client: httpx.AsyncClient,
    database_url: str,
    store: PostgresEventStore,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr("projections.rebuild.Rebuild._compare", fails)
    await client.post("/ops/projections/trades/rebuild")
    with carrying_out(store, database_url):
        outcome = wait_for_state(database_url, "trades", "failed")
    assert outcome == f"{type(failure).__name__}: {failure}"


@contextmanager
def carrying_out(store: PostgresEventStore, url: str) -> Iterator[None]:
    """The projector's part that does the rebuilds, alone."""
    stop = threading.Event()
    thread = threading.Thread(target=RebuildsAskedFor(store, url, PROJECTIONS).run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


async def test_one_that_waits_for_the_command_line_holds_up_no_other(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await client.post("/ops/projections/trades/rebuild")
    await client.post("/ops/projections/order_status/rebuild")
    with rebuilding(TRADES, store, database_url), carrying_out(store, database_url):
        wait_for_state(database_url, "order_status", "done")
        await client.post("/ops/projections/order_status/rebuild")
        wait_for_state(database_url, "order_status", "done")
    assert state(database_url, "trades") == ("asked", None)
    assert caplog.text.count("trades is being rebuilt already") == 1


async def test_the_rebuilds_of_a_frozen_projector_are_taken_over(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "FOLLOWER_SILENT_S", 0.2)
    await client.post("/ops/projections/trades/rebuild")
    lock = "select pg_advisory_lock(hashtextextended(%s, 0))"
    with ExitStack() as frozen:
        for name, held in (("projector rebuilds", "rebuilds asked for"), ("orders projector (pid 1", "rebuild trades")):
            session = frozen.enter_context(psycopg.connect(database_url, autocommit=True, application_name=name))
            session.execute(lock, [held])
        with carrying_out(store, database_url):
            wait_for_state(database_url, "trades", "done")


async def test_who_rebuilds_for_long_is_heard_of_meanwhile(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_requests, "FOLLOWER_BEAT_S", 0.02)
    comparing, free = threading.Event(), threading.Event()

    def takes_long(*_: object) -> tuple[Comparison, None]:
        comparing.set()
        free.wait(60)
        return Comparison(equal=None), None

    monkeypatch.setattr("projections.rebuild.Rebuild._compare", takes_long)
    await client.post("/ops/projections/trades/rebuild")
    with carrying_out(store, database_url):
        try:
            assert comparing.wait(10)
            before = last_heard(database_url)
            wait_until(lambda: last_heard(database_url) > before, what="a beat", within_s=5)
        finally:
            free.set()
        wait_for_state(database_url, "trades", "done")


def last_heard(url: str) -> Any:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select state_change from pg_stat_activity where application_name = 'projector rebuilds'"
        ).fetchall()
    return rows[0][0]


async def test_a_database_that_goes_away_ends_no_rebuild(
    client: httpx.AsyncClient, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(database_url, TRADES, store)
    left = [1, 1]

    def lost(*_: object) -> None:
        with suppress(IndexError):
            left.pop()
            raise psycopg.OperationalError("the server is gone")

    monkeypatch.setattr("projections.rebuild.Rebuild._tell", lost)
    await client.post("/ops/projections/trades/rebuild")
    with projecting(store, database_url, [TRADES]):
        wait_for_state(database_url, "trades", "done")
    assert left == []
