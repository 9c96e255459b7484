"""A projection that cannot apply an event stops alone, is shown with position and reason, and goes on when mended."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from order_service.cli.database_checks import check_database
from order_service.configuration.settings import load_settings
from order_service.monitoring.health import QueryTables
from order_service.monitoring.projection_figures import ProjectionMetrics
from orders.eventstore.port import Recorded
from projections.positions import POSITIONS
from projections.projection import Change
from projections.registry import PROJECTIONS
from tests.support.projection_rows import wait_for_rows
from tests.support.read_service import ReadService, projecting, read_service
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.anyio

REASON = "ValueError: a rule that is not ready for this"


class Breakable:
    """Positions with a rule that fails on the third event, until it is mended."""

    def __init__(self) -> None:
        self.mended = threading.Event()
        self.projections = [
            msgspec.structs.replace(POSITIONS, step=self._step) if one is POSITIONS else one for one in PROJECTIONS
        ]

    def _step(self, batch: Sequence[Recorded]) -> Sequence[Change]:
        if not self.mended.is_set() and any(one.position == 3 for one in batch):
            raise ValueError("a rule that is not ready for this")
        return POSITIONS.step(batch)


@pytest.fixture
def breakable() -> Iterator[Breakable]:
    breakable = Breakable()
    yield breakable
    breakable.mended.set()


async def metrics(service: ReadService) -> dict[str, float]:
    registry = CollectorRegistry()
    await ProjectionMetrics(registry, service.side.reads.lags).refresh()
    lines = (line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, value in lines}


async def stopped(service: ReadService) -> set[str]:
    return {lag.name for lag in await service.side.reads.lags() if lag.failed is not None}


def doctors_words(tmp_path: Path, url: str) -> dict[str, tuple[str, str, str]]:
    given = load_settings({"DATABASE_URL": url, "ORDERS_DATA_DIR": str(tmp_path)}, tmp_path / "no.env")
    return {one.check: (one.state, one.found, one.to_do) for one in check_database(given)}


async def test_a_projection_that_fails_is_shown_everywhere_and_goes_on_when_mended(
    database_url: str, breakable: Breakable, tmp_path: Path
) -> None:
    async with read_service(database_url) as service:
        for _ in range(2):
            service.desk.fill(service.desk.place(), 100)
        head = service.store.head()
        with projecting(service.store, database_url, breakable.projections):
            await wait_until_async(lambda: stopped(service), what="the failure to be told")
            for projection in PROJECTIONS:
                wait_for_rows(database_url, projection, 2 if projection is POSITIONS else head)

            told = {one.name: one.failed for one in await service.side.reads.lags()}
            failure = told.pop("positions")
            assert failure is not None
            assert (failure.position, failure.reason, failure.since.tzinfo is None) == (3, REASON, False)
            assert set(told.values()) == {None}

            ready = await QueryTables(service.side.reads.lags).check()
            assert ready == f"positions has stopped at position 3: {REASON}"

            shown = await metrics(service)
            assert shown['orders_projection_failed{projection="positions"}'] == 1
            assert shown['orders_projection_failed{projection="trades"}'] == 0
            positions = {name: value for name, value in shown.items() if "failed_position" in name}
            assert positions == {
                f'orders_projection_failed_position{{projection="positions",reason="{REASON.split(":")[0]}"}}': 3
            }

            state, found, to_do = doctors_words(tmp_path, database_url)["follower positions"]
            assert state == "wrong"
            assert found.startswith(f"at position 2 of {head}; stopped at 3 since 20")
            assert found.endswith(f"UTC: {REASON}")
            assert "goes on by itself" in to_do

            assert (await service.get("/positions", min_position=head, wait_ms=100)).status_code == 503
            assert (await service.get("/trades", min_position=head)).status_code == 200

            breakable.mended.set()
            assert [one["bought_quantity"] for one in (await service.get("/positions")).json()] == [200]
            await wait_until_async(lambda: nobody_stopped(service), what="the failure to be over")
            shown = await metrics(service)
            assert shown['orders_projection_failed{projection="positions"}'] == 0
            assert not [name for name in shown if "failed_position" in name]
        assert "start `orders projector`" in doctors_words(tmp_path, database_url)["follower positions"][2]


async def nobody_stopped(service: ReadService) -> bool:
    return not await stopped(service)
