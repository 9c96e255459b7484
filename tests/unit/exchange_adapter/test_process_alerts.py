"""What only a process knows: its conditions, and contradictions that leave no event."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from exchange_adapter.alerts import AlertKind
from exchange_adapter.bounds import (
    ALERT_QUIET_S,
    BREAKER_OPENS_AFTER,
    MAX_NOTED_ALERTS,
    REPORT_RETRY_S,
    REPORTS_STALLED_S,
)
from exchange_adapter.breaker import Breaker
from exchange_adapter.call_pool import Calls
from exchange_adapter.errors import ReportsLost
from exchange_adapter.process_alerts import ProcessAlerts, breaker_open, calls_hang, duties_stalled
from exchange_adapter.venue import Found, NotFound, NotSent, ReportPosition, ReportStream, Unknown, VenueState
from orders.domain.values import Capabilities
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.subscription import MemoryHints
from orders.follower import Checkpoint, Failure, Follower
from tests.support.adapter_floor import Floor, Later, on_floor
from tests.support.report_reading import Reading, follow
from tests.support.virtual_time import EPOCH, pass_time

LATE_FAILURE, UNKNOWN = AlertKind.LATE_FAILURE, AlertKind.UNKNOWN_AT_VENUE
ORDER = UUID(int=1)


class Watch:
    def __init__(self) -> None:
        self.now = EPOCH
        self.breaker, self.calls = Breaker(), Calls()
        conditions = {
            AlertKind.BREAKER_OPEN: breaker_open(self.breaker),
            AlertKind.CALLS_HANG: calls_hang(self.calls),
        }
        self.alerts = ProcessAlerts("worker-1", conditions, self._utc)

    def _utc(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @property
    def kinds(self) -> list[AlertKind]:
        return [alert.kind for alert in self.alerts.look()]


def test_an_open_breaker_is_an_alert_until_it_closes() -> None:
    watch = Watch()
    for _ in range(BREAKER_OPENS_AFTER):
        assert watch.kinds == []
        watch.breaker.leave(probe=watch.breaker.enter(0.0), answered=False, now=0.0)
    (alert,) = watch.alerts.look()
    assert (alert.kind, alert.key, alert.worker, alert.opened_at) == ("breaker_open", "worker-1", "worker-1", EPOCH)
    watch.later(3600)
    assert watch.alerts.look() == [alert], "it is as old as it is"
    watch.breaker.leave(probe=watch.breaker.enter(5.0), answered=True, now=5.0)
    assert watch.kinds == []


def test_calls_that_hang_are_an_alert_that_counts_them() -> None:
    watch = Watch()
    for lost in (1, 2):
        watch.calls.lost = lost
        (alert,) = watch.alerts.look()
        assert alert.detail == f"{lost} of 500 calls are past their timeout"
    watch.calls.lost = 0
    assert watch.kinds == []


def test_duties_that_cannot_be_kept_are_a_stall_until_they_go_on_or_another_process_keeps_them() -> None:
    follower = Follower("duties", MemoryEventStore(), "", lambda cursor, batch: None, MemoryHints())
    stalled = duties_stalled(follower)
    follower.backend_pid, follower.checkpoint = 1, Checkpoint(6, 1)
    assert stalled() is None
    follower.failure = Failure(7, "ValueError: no such side")
    assert stalled() == "at position 7: ValueError: no such side"
    follower.backend_pid = follower.checkpoint = None
    assert stalled() is not None, "it tries again"
    follower.backend_pid = 2
    assert stalled() is None, "another process has the lock"
    follower.checkpoint, follower.failure = Checkpoint(7, 1), None
    assert stalled() is None


def test_a_contradiction_is_noted_until_it_stays_quiet() -> None:
    watch = Watch()
    watch.alerts.note(UNKNOWN, ORDER, "first")
    watch.later(ALERT_QUIET_S)
    watch.alerts.note(UNKNOWN, ORDER, "again")
    watch.later(ALERT_QUIET_S)
    (alert,) = watch.alerts.look()
    assert (alert.key, alert.times, alert.detail, alert.opened_at) == (str(ORDER), 2, "again", EPOCH)
    watch.later(1)
    assert watch.kinds == []


def test_no_more_is_noted_than_fits() -> None:
    watch = Watch()
    for number in range(MAX_NOTED_ALERTS + 1):
        watch.alerts.note(UNKNOWN, UUID(int=number), "d")
    keys = [alert.key for alert in watch.alerts.look()]
    assert len(keys) == MAX_NOTED_ALERTS
    assert str(UUID(int=0)) not in keys, "the oldest leaves"


def test_a_failure_of_an_order_that_the_exchange_has_is_noted_however_late_it_comes() -> None:
    async def test(floor: Floor) -> None:
        reading = Reading(floor)
        floor.venue.will("submit", Later(1.0, NotSent("it failed")), Later(20.0, NotSent("it failed late")))
        in_time, late = floor.client.place(2, quantity=100)
        floor.start()
        await pass_time(0.5)
        for order_id in (in_time, late):
            reading.journal.fill(order_id, 1)
        await reading.record()
        await pass_time(1)
        assert floor.noted == [(LATE_FAILURE, in_time)]
        await pass_time(30)
        assert floor.noted == [(LATE_FAILURE, in_time), (LATE_FAILURE, late)]

    on_floor(test)


def test_an_accepted_order_that_the_exchange_does_not_know_is_noted() -> None:
    async def test(floor: Floor) -> None:
        (order_id,) = floor.client.place(limit_price="1.1")
        floor.start()
        await pass_time(1)
        floor.venue.will("replace", Unknown("lost"))
        floor.venue.will("query", NotFound(), Found(state=VenueState.WORKING, quantity=10))
        floor.client.replace(order_id, quantity=20)
        await pass_time(2)
        assert floor.noted == [(UNKNOWN, order_id)]

    on_floor(test, Capabilities(queries=True, replaces=True, cancels=True))


def test_reports_that_stay_away_are_a_stall_and_an_idle_stream_is_none() -> None:
    async def test(floor: Floor) -> None:
        reading = Reading(floor)
        reader = reading.reader
        assert reader.stalled() is None, "another process reads them"
        await follow(reading, 2 * REPORTS_STALLED_S)
        assert reader.stalled() is None
        reader.own(False)

        def lost(after: ReportPosition) -> ReportStream:
            raise ReportsLost("cut")

        floor.venue.reports = lost  # type: ignore[method-assign]
        await follow(reading, REPORTS_STALLED_S - 1)
        assert reader.stalled() is None
        await pass_time(2)
        assert reader.stalled() == f"nothing came for {REPORTS_STALLED_S:g} s: cut"
        floor.venue.reports = reading.journal.stream  # type: ignore[method-assign]
        (order_id,) = floor.client.place()
        reading.journal.fill(order_id)
        await follow(reading, 2 * REPORT_RETRY_S[1])
        assert reader.stalled() is None

    on_floor(test)
