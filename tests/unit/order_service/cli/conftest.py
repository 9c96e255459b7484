"""Commands as a person types them, in a folder without .env, with settings of their own only."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from order_service.cli.program import orders
from order_service.configuration.settings import NAMES
from orders.eventstore.postgres import PostgresEventStore
from projections.order_status import ORDER_STATUS
from tests.support.rebuilds import follow
from tests.support.scripted_api import ScriptedApi, scripted_api
from tests.support.trading_desk import TradingDesk

Run = Callable[..., Result]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as script:
        yield script


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("show", "abc", BASE_URL=...)`"""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, **settings: str) -> Result:
        return CliRunner().invoke(orders, arguments, prog_name="orders", env=settings)

    return run


@pytest.fixture
def three_orders(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresEventStore]:
    """Their log, followed by one projection; `orders replay` leaves this process as it is."""
    monkeypatch.setattr("order_service.cli.replay.lower_priority", lambda *_, **__: None)
    monkeypatch.setattr("order_service.cli.replay.collect_rarely", lambda: None)
    store = PostgresEventStore(database_url)
    desk = TradingDesk(store)
    for _ in range(3):
        desk.place(price="1.1")
    follow(database_url, ORDER_STATUS, store)
    yield store
    store.close()
