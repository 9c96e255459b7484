"""Ready means: fit to serve. Everything else is a reason that a person can act on."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from order_service.bounds import APPEND_FAILED_S, READY_LAG_EVENTS, READY_LAG_S
from order_service.errors import MigrationChanged, ServiceError, UnreachableError
from order_service.monitoring import health as health_module
from order_service.monitoring.health import Appends, Health, Migrations, QueryTables
from orders.eventstore.commits import Commits
from orders.eventstore.memory import MemoryEventStore
from projections.errors import ReadsUnavailable
from projections.queries import FollowerFailure, ProjectionLag
from tests.support.command_service import command_service

pytestmark = pytest.mark.anyio


def reason(text: str | None) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return text

    return check


async def test_a_process_that_is_about_to_stop_is_not_ready_from_then_on() -> None:
    health = Health({"one": reason(None)})
    assert (await health.ready()).status == "ready"
    health.drain()
    report = await health.ready()
    assert (report.status, report.reasons) == ("not ready", ["the process is about to stop"])


class Log:
    """A log that grows and one table that follows it, on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.head = self.position = 0
        self.followed = True
        self.lost = False
        self.failed: FollowerFailure | None = None
        self.check = QueryTables(self._lags, lambda: self.now).check

    async def _lags(self) -> Sequence[ProjectionLag]:
        if self.lost:
            raise ReadsUnavailable
        lag = ProjectionLag(
            name="orders",
            position=self.position,
            lag_events=self.head - self.position,
            followed=self.followed,
            failed=self.failed,
        )
        return [lag]


async def test_all_is_well_where_no_check_finds_a_reason() -> None:
    report = await Health({"a": reason(None), "b": reason(None)}).ready()
    assert (report.status, report.reasons) == ("ready", [])


async def test_every_reason_is_given() -> None:
    report = await Health({"a": reason("no a"), "b": reason(None), "c": reason("no c")}).ready()
    assert (report.status, report.reasons) == ("not ready", ["no a", "no c"])


async def test_what_only_degrades_is_told_and_it_stays_ready() -> None:
    report = await Health({"a": reason(None)}, warnings={"b": reason("no adapter runs"), "c": reason(None)}).ready()
    assert (report.status, report.reasons, report.degraded) == ("ready", [], ["no adapter runs"])


async def test_a_check_that_hangs_is_a_reason_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "HEALTH_TIMEOUT_S", 0.05)

    async def hang() -> str | None:
        await asyncio.Event().wait()
        return None

    report = await Health({"query tables": hang, "b": reason("no b")}).ready()
    assert report.reasons == ["query tables: no answer within 0.05 s", "no b"]


async def test_a_check_that_fails_in_an_unforeseen_way_is_told_where_it_belongs() -> None:
    async def broken() -> str | None:
        raise KeyError("queues")

    warned = await Health({"a": reason(None)}, warnings={"adapters": broken, "b": reason("no b")}).ready()
    told = "adapters: could not be checked (KeyError)"
    assert (warned.status, warned.reasons, warned.degraded) == ("ready", [], [told, "no b"])
    assert (await Health({"adapters": broken}).ready()).reasons == [told]


async def test_many_who_ask_at_once_cost_one_look() -> None:
    looks = 0

    async def look() -> str | None:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return None

    health = Health({"a": look})
    await asyncio.gather(*(health.ready() for _ in range(50)))
    assert looks == 1


async def test_a_table_that_is_always_a_little_behind_is_ready_under_load() -> None:
    log = Log()
    for second in range(60):
        log.now, log.head, log.position = 100.0 + second, 1_000 * (second + 1), 1_000 * (second + 1) - 150
        assert await log.check() is None


async def test_a_table_that_does_not_move_is_not_ready_after_a_while() -> None:
    log = Log()
    log.head = 5
    assert await log.check() is None
    log.now += READY_LAG_S - 1
    assert await log.check() is None
    log.now += 2
    assert await log.check() == "orders is 5 events behind the log"
    log.position = 5
    assert await log.check() is None


async def test_a_table_with_much_to_catch_up_is_not_ready_at_once() -> None:
    log = Log()
    log.head = READY_LAG_EVENTS + 1
    assert await log.check() == f"orders is {log.head} events behind the log"


async def test_a_table_that_nobody_keeps_is_not_ready() -> None:
    log = Log()
    log.followed = False
    assert "no projector runs" in str(await log.check())
    assert "cannot write" in str(await log.check()), "one that runs and fails is not told apart here"


async def test_a_commit_that_failed_lately_degrades_until_one_works() -> None:
    commits, log = Commits(), Log()
    told, public = (Appends(commits, lambda: log.now, quotes_errors=quotes).check for quotes in (True, False))
    assert await told() is None
    commits.fail("append: cannot execute INSERT in a read-only transaction (25006)", log.now)
    assert await told() == (
        "the last commit of orders failed: append: cannot execute INSERT in a read-only transaction (25006)"
    )
    assert await public() == "the last commit of orders failed: the log of this process says why"
    log.now += APPEND_FAILED_S
    assert await told() is None, "without clients nothing would show that commits work again"
    commits.fail("append: no answer", log.now)
    assert await told() is not None
    commits.done(1, 0.001)
    assert await told() is None


async def test_a_table_that_has_stopped_at_an_event_says_where_and_why_at_once() -> None:
    log = Log()
    log.head, log.followed = 5, False
    log.failed = FollowerFailure(position=3, reason="ValueError: no", since=datetime(2026, 11, 2, tzinfo=UTC))
    assert await log.check() == "orders has stopped at position 3: ValueError: no"
    public = QueryTables(log._lags, quotes_errors=False)
    assert await public.check() == "orders has stopped at position 3: GET /ops/projections says why"
    log.failed, log.followed = None, True
    assert await log.check() is None


async def test_a_database_that_does_not_answer_is_a_reason_and_names_no_host() -> None:
    log = Log()
    log.lost = True
    assert await log.check() == "The database does not answer; try again"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (["0007_new.sql"], "migrations are pending: 0007_new.sql; run `orders migrate`"),
        (UnreachableError("the database cannot be reached: host db7.internal"), "the database cannot be reached"),
        (MigrationChanged("0001_event_log.sql differs from what was applied"), "0001_event_log.sql differs from what"),
    ],
)
async def test_a_schema_of_another_release_is_a_reason(
    monkeypatch: pytest.MonkeyPatch, outcome: list[str] | ServiceError, said: str
) -> None:
    def pending(url: str) -> list[str]:
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    monkeypatch.setattr(health_module, "pending", pending)
    found = await Migrations("postgresql://x").check()
    assert found is not None
    assert found.startswith(said)
    assert "internal" not in found


async def test_an_applied_schema_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pending(url: str) -> list[str]:
        asked.append(url)
        return []

    monkeypatch.setattr(health_module, "pending", pending)
    migrations = Migrations("postgresql://x")
    assert [await migrations.check() for _ in range(3)] == [None] * 3
    assert asked == ["postgresql://x"]


async def test_a_schema_that_cannot_be_read_holds_one_thread_of_its_own_however_often_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others' threads cut slow clients, look at what /ws is sent, and end the process."""
    asked, answered = [], threading.Event()

    def pending(url: str) -> list[str]:
        asked.append(threading.current_thread().name)
        answered.wait(10)
        return []

    monkeypatch.setattr(health_module, "pending", pending)
    monkeypatch.setattr(health_module, "HEALTH_TIMEOUT_S", 0.01)
    monkeypatch.setattr(health_module, "HEALTH_CACHE_S", -1.0)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    migrations = Migrations("postgresql://x")
    health = Health({"migrations": migrations.check})
    try:
        for _ in range(3):
            assert (await health.ready()).reasons == ["migrations: no answer within 0.01 s"]
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "run"), 5) == "run"
    finally:
        answered.set()
    assert await migrations.check() is None
    assert len(asked) == 1


async def test_the_routes_say_it_by_status_and_body() -> None:
    store = MemoryEventStore()
    async with command_service(store, store.hints, checks={"a": reason("the database cannot be reached")}) as service:
        live, ready = await service.http.get("/health/live"), await service.http.get("/health/ready")
    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {"status": "not ready", "reasons": ["the database cannot be reached"], "degraded": []}
