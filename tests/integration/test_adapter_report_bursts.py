"""Thousands of execution reports at once: none is lost and none counts twice, and what the database cannot take yet
waits at the exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from exchange_adapter.simulated_venue import SimulatedVenue
from load.gate import Gate
from load.report_journal import Shape, orders_at_the_venue, write_journal
from orders.eventstore.postgres import PostgresEventStore
from simulated_exchange.journal import FILE_NAME
from tests.support.adapter_process import AdapterProcess
from tests.support.exchange_process import ExchangeProcess
from tests.support.running_adapter import running_adapter
from tests.support.waiting import wait_until

SHAPE = Shape(orders=600, fills=9, abreast=200)
BURST_S = 30.0
HOLD_APPENDS = "select pg_advisory_lock(1869767794, 1)"  # what append_events waits for
LET_APPENDS = "select pg_advisory_unlock(1869767794, 1)"
STILL_S = 0.5


class Burst:
    """An exchange with thousands of reports behind a gate that is shut; the log has their orders."""

    def __init__(self, gate: Gate, journal: Path, store: PostgresEventStore, database_url: str) -> None:
        self.gate = gate
        self.store = store
        self.journal_bytes = journal.stat().st_size
        self._began_at = store.head()
        self._database_url = database_url

    def wait_for(self, fills: int) -> None:
        """Until so many are recorded, or a little more."""
        wait_until(lambda: self.recorded() >= fills, within_s=BURST_S, what=f"{fills} fills")

    def recorded(self) -> int:
        return self.store.head() - self._began_at

    def check_the_log(self) -> None:
        """Each fill of the journal once, and nothing else; each order is full."""
        self.wait_for(SHAPE.recorded)
        with psycopg.connect(self._database_url) as connection:
            rows = connection.execute(
                "with fills as (select originator_id, convert_from(state, 'UTF8')::jsonb as fill from order_events"
                " where notification_id > %s)"
                " select count(*), count(distinct fill ->> 'exec_id'), count(distinct originator_id),"
                " count(*) filter (where fill #>> '{after,status}' = 'Executed') from fills",
                (self._began_at,),
            ).fetchall()
        assert rows == [(SHAPE.recorded, SHAPE.recorded, SHAPE.orders, SHAPE.orders)]


@pytest.fixture
def burst(database_url: str, tmp_path: Path) -> Iterator[Burst]:
    store = PostgresEventStore(database_url, application_name="test")
    folder = tmp_path / "exchange"
    write_journal(folder, orders_at_the_venue(store, SHAPE), SHAPE)
    with ExchangeProcess(folder) as exchange, Gate(tmp_path / "gate", Path(exchange.address)) as gate:
        yield Burst(gate, folder / FILE_NAME, store, database_url)
    store.close()


def standing_still(look: Callable[[], int]) -> Callable[[], bool]:
    """Whether the figure has not changed for a while; to be asked again and again."""
    last, since = look(), time.monotonic()

    def stands() -> bool:
        nonlocal last, since
        if (now := look()) != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > STILL_S

    return stands


def test_while_the_database_is_slow_the_reports_wait_at_the_exchange(burst: Burst, database_url: str) -> None:
    venue = SimulatedVenue(str(burst.gate.path), call_timeout_s=5.0)
    with (
        running_adapter(database_url, venue),
        psycopg.connect(database_url, autocommit=True) as slow,
    ):
        slow.execute(HOLD_APPENDS)
        burst.gate.open()
        wait_until(lambda: burst.gate.carried_bytes, what="the first reports")
        wait_until(standing_still(lambda: burst.gate.carried_bytes // 1000), what="the reader to stop reading")
        assert burst.gate.carried_bytes < burst.journal_bytes / 2
        assert burst.recorded() == 0
        slow.execute(LET_APPENDS)
        burst.check_the_log()


def test_reading_goes_on_where_it_was_when_the_socket_is_cut_in_the_middle_of_a_burst(
    burst: Burst, database_url: str
) -> None:
    venue = SimulatedVenue(str(burst.gate.path), call_timeout_s=5.0)
    with running_adapter(database_url, venue):
        burst.gate.open(burst.journal_bytes / 2)
        burst.wait_for(1)
        burst.gate.shut()
        assert burst.recorded() < SHAPE.recorded
        burst.gate.open()
        burst.check_the_log()


def test_an_adapter_that_is_killed_in_the_middle_of_a_burst_is_followed_by_one_that_goes_on(
    burst: Burst, database_url: str, tmp_path: Path
) -> None:
    with AdapterProcess(database_url, "simulated", str(burst.gate.path), tmp_path / "log") as adapter:
        burst.gate.open(burst.journal_bytes / 2)
        burst.wait_for(1)
        adapter.kill()
        assert burst.recorded() < SHAPE.recorded
        burst.gate.open()
        adapter.start()
        burst.check_the_log()
