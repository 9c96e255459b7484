"""What requests came to: by operation, by phase and by second."""

from __future__ import annotations

import pytest

from load.run.meter import Meter
from load.scenarios import Phase

PHASES = [Phase(name="one", seconds=2, per_second=1), Phase(name="two", seconds=2, per_second=1)]


def test_a_latency_belongs_to_the_second_in_which_the_request_was_meant_to_leave() -> None:
    meter = Meter(PHASES)
    meter.meant(0.5, 0)
    meter.answered("place", 0, 0.5, 3.5, 201)
    seconds = meter.seconds()
    assert [second.meant for second in seconds] == [1, 0, 0, 0]
    assert [second.done for second in seconds] == [0, 0, 0, 1]
    assert seconds[0].latencies["place"].worst_ms == pytest.approx(3000, rel=0.02)
    assert [bool(second.latencies) for second in seconds] == [True, False, False, False]
    one, two = meter.phases()
    assert (one.latencies["place"].count, two.latencies["place"].count) == (1, 0)


def test_what_a_client_should_not_get_is_failed_and_what_the_rules_refuse_is_not() -> None:
    meter = Meter(PHASES)
    meter.answered("cancel", 0, 0.0, 0.1, 400)
    meter.answered("get", 0, 0.0, 0.1, 404)
    meter.answered("place", 1, 2.0, 2.1, 500)
    meter.lost("place", 1, 2.1, 2.2, "the connection was closed")
    meter.dropped(1, 2.3)
    operations = {one.operation: one for one in meter.operations()}
    assert [operations[name].failed for name in ("cancel", "get", "place")] == [0, 1, 2]
    assert operations["place"].answers == {"500": 1, "the connection was closed": 1}
    assert (operations["place"].requests, operations["place"].answered) == (2, 1)
    assert [phase.failed for phase in meter.phases()] == [1, 3]
    seconds = meter.seconds()
    assert (seconds[0].refused, seconds[0].failed, seconds[2].failed) == (1, 1, 3)
    assert meter.never_sent == 1


def test_a_request_without_an_answer_took_as_long_as_it_was_waited_for() -> None:
    meter = Meter(PHASES)
    for _ in range(98):
        meter.answered("place", 0, 0.5, 0.505, 201)
    for _ in range(2):
        meter.lost("place", 0, 0.5, 30.5, "no answer in time")
    place = meter.operations()[0]
    assert (place.latencies.p50_ms, place.latencies.p99_ms) == pytest.approx((5, 30_000), rel=0.002)
    assert place.curve[-1][1] == pytest.approx(30_000, rel=0.002)
    assert meter.phases()[0].latencies["place"].worst_ms == pytest.approx(30_000, rel=0.002)
    assert meter.seconds()[0].latencies["place"].worst_ms == pytest.approx(30_000, rel=0.02)


def test_operations_are_shown_in_groups_over_time_and_each_for_itself_in_all() -> None:
    meter = Meter(PHASES)
    meter.answered("get", 0, 0.0, 0.010, 200)
    meter.answered("list", 0, 0.0, 0.030, 200)
    (second,) = meter.seconds()
    assert second.latencies["read"].count == 2
    assert [one.latencies.count for one in meter.operations() if one.requests] == [1, 1]
