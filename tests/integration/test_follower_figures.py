"""How far followers are behind, in events and in seconds, as /metrics and health tell it from the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from event_relay import EVENTS_FOLLOWER, WORK_FOLLOWER
from exchange_adapter.adapter_tables import AdapterFigures
from order_service.bounds import READY_LAG_S
from order_service.configuration.settings import load_settings
from order_service.monitoring import latest_figures
from order_service.monitoring.adapter_metrics import AdapterMetrics
from order_service.monitoring.degradation import Degradation
from order_service.monitoring.follower_figures import FollowerFigures
from order_service.monitoring.followers import followers
from orders.eventstore.port import Unit
from orders.eventstore.postgres import PostgresEventStore
from projections.read_pool import ReadPool
from projections.registry import PROJECTIONS
from tests.support.log_events import placed

pytestmark = pytest.mark.anyio

NEVER_RAN = "never_ran"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ReadPool]:
    pool = ReadPool(database_url)
    await pool.open()
    yield pool
    await pool.close()


def recorded_before(store: PostgresEventStore, seconds: float) -> None:
    event = replace(placed(), at=datetime.now(UTC) - timedelta(seconds=seconds))
    store.append([Unit(uuid4(), 0, (event,))])


def stands_at(url: str, follower: str, position: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into follower_checkpoint (name, position) values (%s, %s)", (follower, position))


async def test_a_follower_is_as_old_as_the_oldest_event_that_it_has_not_taken(
    database_url: str, pool: ReadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest_figures, "FIGURES_TIMEOUT_S", 5.0)
    store = PostgresEventStore(database_url)
    for age_s in (300, 60, 20):
        recorded_before(store, age_s)
    for follower, position in (("at_the_end", 3), ("one_behind", 2), ("two_behind", 1)):
        stands_at(database_url, follower, position)
    registry = CollectorRegistry()
    names = ("at_the_end", "one_behind", "two_behind", NEVER_RAN)
    figures = FollowerFigures(registry, pool.rows, names)
    await figures.refresh()

    def shown(what: str) -> list[float | None]:
        return [registry.get_sample_value(f"orders_follower_{what}", {"follower": name}) for name in names]

    assert shown("position") == [3, 2, 1, 0]
    assert shown("lag_events") == [0, 1, 2, 3]
    ages = shown("lag_seconds")
    assert ages[0] == 0
    assert [round(age or 0) // 10 * 10 for age in ages[1:]] == [20, 60, 300]
    assert registry.get_sample_value("orders_database_readable") == 1
    assert (registry.get_sample_value("orders_database_size_bytes") or 0) > 1_000_000
    assert (registry.get_sample_value("orders_database_connections") or 0) >= 1
    await _degraded_by_those(figures)
    store.close()


async def _degraded_by_those(figures: FollowerFigures) -> None:
    """Those that another check judges are left out; none of the others is behind by a little only."""

    async def adapters() -> AdapterFigures:
        return AdapterFigures(duties={}, alerts={}, workers=2, breakers_open=1)

    degradation = Degradation(AdapterMetrics(CollectorRegistry(), adapters), figures, ["two_behind"])
    told = await degradation.of_followers()
    assert told is not None
    assert [one.split(" is ")[0] for one in told.split("; ")] == ["one_behind", NEVER_RAN]
    assert READY_LAG_S < 20
    assert await degradation.of_adapters() == (
        "the exchange fails at every call: 1 of 2 adapters make none but a probe now and then, and orders wait"
    )


async def test_no_adapter_is_told_and_what_is_not_known_is_not() -> None:
    answers = [AdapterFigures(duties={}, alerts={}), AdapterFigures(duties={}, alerts={}, workers=1)]

    async def adapters() -> AdapterFigures:
        return answers.pop(0)

    async def away(statement: str, parameters: object) -> list[tuple[object, ...]]:
        raise TimeoutError

    now = 0.0
    registry = CollectorRegistry()
    behind = FollowerFigures(registry, away, ["order_status"])
    degradation = Degradation(AdapterMetrics(CollectorRegistry(), adapters, lambda: now), behind, [])
    assert await degradation.of_adapters() == "no adapter runs: orders are accepted, and wait"
    now = 60
    assert await degradation.of_adapters() is None
    assert await degradation.of_followers() is None
    assert registry.get_sample_value("orders_database_readable") == 0
    assert registry.get_sample_value("orders_follower_position", {"follower": "order_status"}) is None


async def test_the_relay_is_told_of_where_there_is_one(tmp_path: Path) -> None:
    def told_of(**environ: str) -> set[str]:
        return set(followers(load_settings(environ, tmp_path / "no.env")))

    alone, relayed = told_of(), told_of(AMQP_URL="amqp://127.0.0.1/")
    assert alone == {"exchange_adapter_duties", "hash_chain", *(projection.name for projection in PROJECTIONS)}
    assert relayed - alone == {WORK_FOLLOWER}
    assert told_of(AMQP_URL="amqp://127.0.0.1/", INTEGRATION_EVENTS="on") - relayed == {EVENTS_FOLLOWER}
