"""An adapter of which a part hangs, fails or has ended: it stops in time, tells of it, or is started afresh."""

from __future__ import annotations

import time
from contextlib import closing
from threading import Event
from typing import ClassVar

import pytest

from exchange_adapter.alert_board import PostgresAlertBoard
from exchange_adapter.alerts import AlertKind
from exchange_adapter.errors import RESTART_EXIT_CODE
from exchange_adapter.ownership import Ownership
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.venue import Report, ReportPosition, ReportStream
from orders.domain.values import Capabilities, Delivery
from tests.support.running_adapter import client_of, running_adapter
from tests.support.waiting import wait_until

STOP_BOUND_S = 10.0  # the contract's, of a whole service


class DeafStream:
    """Ignores its timeout."""

    source = None

    def __init__(self, release: Event) -> None:
        self._release = release
        self.read = Event()

    def next_batch(self, limit: int, timeout_s: float) -> list[Report]:
        self.read.set()
        self._release.wait(60)
        return []

    def close(self) -> None: ...


class DeafVenue(PlaceOrderVenue):
    """Its reports ignore their time, and its close hangs."""

    capabilities: ClassVar[Capabilities] = Capabilities(reports=True)

    def __init__(self) -> None:
        super().__init__(lambda order: None)
        self.release = Event()
        self.stream = DeafStream(self.release)

    def reports(self, after: ReportPosition) -> ReportStream:
        return self.stream

    def close(self) -> None:
        self.release.wait(60)


def test_a_stop_waits_for_no_exchange_that_ignores_its_time(database_url: str) -> None:
    venue = DeafVenue()
    try:
        with running_adapter(database_url, venue) as codes:
            assert venue.stream.read.wait(10)
            stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < STOP_BOUND_S
        assert codes == [0]
    finally:
        venue.release.set()


def test_an_adapter_whose_shard_locks_died_is_started_afresh(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ownership, "run", lambda self, stop: Event().wait(0.2))
    with running_adapter(database_url, PlaceOrderVenue(lambda order: None)) as codes:
        wait_until(lambda: codes == [RESTART_EXIT_CODE], what="the exit code")


def test_a_log_that_cannot_be_followed_is_told_until_it_can_be(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such side")

    board = PostgresAlertBoard(database_url, "looks on")
    with (
        closing(board),
        client_of(database_url, Capabilities()) as client,
        running_adapter(database_url, PlaceOrderVenue(lambda order: None)),
    ):
        with monkeypatch.context() as broken:
            broken.setattr("exchange_adapter.work.duties.note_unmatched", fail)
            order_ids = client.place()
            wait_until(lambda: AlertKind.DUTIES_STALLED in board.open(), what="the alert")
            (example,) = board.examples(AlertKind.DUTIES_STALLED)
            assert example.detail == "at position 1: ValueError: no such side"
        client.wait_for(order_ids, lambda order: order.delivery is Delivery.ACKED)
        wait_until(lambda: not board.open(), what="no alert")
