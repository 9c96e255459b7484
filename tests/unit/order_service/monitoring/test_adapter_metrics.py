"""The exchange adapters in /metrics: what their tables tell, and nothing old."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from exchange_adapter.adapter_tables import AdapterFigures
from exchange_adapter.bounds import CALL_SECONDS
from order_service.bounds import FIGURES_CACHE_S
from order_service.monitoring import latest_figures
from order_service.monitoring.adapter_metrics import AdapterMetrics
from orders.distribution import Observed
from orders.eventstore.port import StoreUnavailable

pytestmark = pytest.mark.anyio

FIGURES = AdapterFigures(
    duties={"in_doubt": 3},
    alerts={"order_held": 2},
    workers=2,
    calls_running=5,
    calls_hanging=1,
    breakers_open=1,
    queues_consumed=64,
    messages_in_hand=3,
    hints={"w": 9},
    undecodable={"w": 1},
    attempts={"w-1": {"placed": 7}, "w-2": {"placed": 8}},
    call_seconds={"w-1": Observed((1, 2, *([0] * (len(CALL_SECONDS) - 1))), 0.02), "of an older release": Observed()},
)
SHOWN = {
    "orders_adapter_readable": 1,
    'orders_adapter_duties{delivery="in_doubt"}': 3,
    'orders_alerts_open{kind="order_held"}': 2,
    "orders_adapter_workers": 2,
    "orders_adapter_calls_running": 5,
    "orders_adapter_calls_hanging": 1,
    "orders_adapter_breaker_open": 1,
    "orders_adapter_queues_consumed": 64,
    "orders_adapter_messages_in_hand": 3,
    'orders_adapter_hints_total{worker="w"}': 9,
    'orders_adapter_undecodable_total{worker="w"}': 1,
}


class Tables:
    """The adapters' tables of a test, and a clock."""

    def __init__(self) -> None:
        self.reads = 0
        self.now = 0.0
        self.away: BaseException | None = None
        self.hangs = False
        self.registry = CollectorRegistry()
        self.metrics = AdapterMetrics(self.registry, self._read, lambda: self.now)

    async def _read(self) -> AdapterFigures:
        self.reads += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away is not None:
            raise self.away
        return FIGURES

    async def shown(self) -> dict[str, float]:
        await self.metrics.refresh()
        lines = generate_latest(self.registry).decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


async def test_the_sums_over_the_adapters_are_shown() -> None:
    assert (await Tables().shown()).items() >= SHOWN.items()


async def test_what_an_adapter_counts_is_shown_by_adapter_since_a_sum_would_go_back_when_one_ends() -> None:
    shown = await Tables().shown()
    assert shown['orders_adapter_attempts_total{outcome="placed",worker="w-1"}'] == 7
    assert shown['orders_adapter_attempts_total{outcome="placed",worker="w-2"}'] == 8


async def test_the_buckets_of_calls_add_up_and_those_of_another_release_are_left_out() -> None:
    shown = await Tables().shown()
    of_calls = {name: value for name, value in shown.items() if name.startswith("orders_adapter_call_seconds")}
    bounds = (CALL_SECONDS[0], CALL_SECONDS[1], "+Inf")
    by_bound = [of_calls[f'orders_adapter_call_seconds_bucket{{le="{le}",worker="w-1"}}'] for le in bounds]
    assert by_bound == [1, 3, 3]
    assert of_calls['orders_adapter_call_seconds_sum{worker="w-1"}'] == 0.02
    assert not [name for name in of_calls if "older" in name]


async def test_they_are_read_again_only_after_a_while() -> None:
    tables = Tables()
    await asyncio.gather(tables.shown(), tables.shown())
    tables.now += FIGURES_CACHE_S - 0.1
    await tables.shown()
    assert tables.reads == 1
    tables.now += 0.1
    await tables.shown()
    assert tables.reads == 2


async def test_while_the_database_is_away_old_values_are_not_shown() -> None:
    tables = Tables()
    await tables.shown()
    tables.now, tables.away = FIGURES_CACHE_S, StoreUnavailable("away")
    assert await tables.shown() == {"orders_adapter_readable": 0}
    tables.now, tables.away = 2 * FIGURES_CACHE_S, None
    assert (await tables.shown()).items() >= SHOWN.items()


async def test_what_nobody_foresaw_hides_no_other_figures_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    tables = Tables()
    tables.away = KeyError("queues")
    assert await tables.shown() == {"orders_adapter_readable": 0}
    assert "figures for /metrics could not be read" in caplog.messages


async def test_a_database_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest_figures, "FIGURES_TIMEOUT_S", 0.01)
    tables = Tables()
    tables.hangs = True
    assert await tables.shown() == {"orders_adapter_readable": 0}
