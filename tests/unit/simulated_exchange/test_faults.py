"""What befalls requests and reports, drawn from a seed, and what a person may set."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated_exchange.control_words import ControlRequest, SetFaults
from simulated_exchange.controls import Controls
from simulated_exchange.errors import BadSetting
from simulated_exchange.exchange import Exchange
from simulated_exchange.faults import Disorder, FaultPlan, Faults
from simulated_exchange.house import House
from simulated_exchange.protocol import AnyAnswer, Refused


def in_disorder(lines: list[bytes], plan: FaultPlan, *, a_write: int = 3) -> list[bytes]:
    disorder = Disorder(Faults(plan, 5))
    writes = [b"".join(lines[start : start + a_write]) for start in range(0, len(lines), a_write)]
    return b"".join(disorder.of(write) for write in writes).splitlines(keepends=True)


LINES = [b"%d\n" % number for number in range(1_000)]


def test_without_faults_reports_pass_as_they_are() -> None:
    assert in_disorder(LINES, FaultPlan()) == LINES


def test_reports_come_twice_as_often_as_asked_for() -> None:
    sent = in_disorder(LINES, FaultPlan(duplicate_rate=0.2))
    assert list(dict.fromkeys(sent)) == LINES
    assert 1_150 < len(sent) < 1_250


def test_reports_change_places_with_the_next_also_when_that_is_written_later() -> None:
    sent = in_disorder(LINES, FaultPlan(reorder_rate=0.2), a_write=1)
    assert sent != LINES
    assert all(abs(LINES.index(line) - place) <= 1 for place, line in enumerate(sent))


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 7))
def test_disorder_loses_no_report_but_one_that_still_waits(duplicate: float, reorder: float, a_write: int) -> None:
    lines = LINES[:50]
    sent = in_disorder(lines, FaultPlan(duplicate_rate=duplicate, reorder_rate=reorder), a_write=a_write)
    assert len(set(lines) - set(sent)) <= 1


def test_a_report_that_was_held_back_comes_after_the_fault_has_ended() -> None:
    faults = Faults(FaultPlan(reorder_rate=1.0), 5)
    disorder = Disorder(faults)
    assert disorder.of(b"1\n") == b""
    faults.plan = FaultPlan()
    assert disorder.of(b"2\n") == b"2\n1\n"
    assert disorder.of(b"3\n") == b"3\n"


def test_a_disconnect_befalls_a_request_as_often_as_asked_for() -> None:
    faults = Faults(FaultPlan(error_rate=0.1, disconnect_rate=0.3), 5)
    drawn = [faults.mishap() for _ in range(10_000)]
    assert drawn.count("disconnect") / 10_000 == pytest.approx(0.3, abs=0.02)
    assert sum(faults.cuts_write() for _ in range(10_000)) / 10_000 == pytest.approx(0.3, abs=0.02)


def controls() -> Controls:
    return Controls(Faults(FaultPlan(error_rate=0.5), 1), House(1, (0, 0)))


def asked(own: Controls, **fields: object) -> AnyAnswer:
    answers: list[AnyAnswer] = []
    own.take(msgspec.convert({"op": "faults", "id": 1, **fields}, ControlRequest), answers.append)
    [answer] = answers
    return answer


def test_what_is_given_changes_and_the_rest_stays() -> None:
    own = controls()
    asked(own, hang_rate=0.25, latency_s=[0.1, 0.2])
    assert own.faults.plan == FaultPlan(error_rate=0.5, hang_rate=0.25, latency_s=(0.1, 0.2))
    asked(own, house=False)
    assert (own.house.is_open, own.faults.plan.hang_rate) == (False, 0.25)


def test_a_reset_ends_all_that_was_set() -> None:
    own = controls()
    asked(own, house=False, outage_s=60)
    assert own.outage_left_s() > 59
    asked(own, reset=True, drop_rate=0.1)
    assert (own.faults.plan, own.house.is_open, own.outage_left_s()) == (FaultPlan(drop_rate=0.1), True, 0)


def test_faults_that_cannot_be_change_nothing() -> None:
    own = controls()
    answer = asked(own, drop_rate=0.6, house=False, outage_s=60)
    assert isinstance(answer, Refused)
    assert (answer.error, "together are more than 1" in answer.message) == ("bad_request", True)
    assert (own.faults.plan, own.house.is_open, own.outage_left_s()) == (FaultPlan(error_rate=0.5), True, 0)
    with pytest.raises(msgspec.ValidationError):
        asked(own, drop_rate=1.5)


@pytest.mark.parametrize("every", [(0.0, 0.0), (0.1, 0.1), (20.0, 40.0)])
def test_crashes_come_within_their_range_or_not_at_all(every: tuple[float, float]) -> None:
    faults = Faults(FaultPlan(crash_every_s=every), 5)
    drawn = [faults.next_crash_s() for _ in range(50)]
    low, high = every
    assert all(wait is None if high == 0 else wait is not None and low <= wait <= high for wait in drawn)


@pytest.mark.parametrize("every", [(0.0, 1.0), (2.0, 1.0), (0.0, 0.01)])
def test_crashes_that_leave_no_time_to_be_up_cannot_be(every: tuple[float, float]) -> None:
    with pytest.raises(BadSetting, match="crash-every"):
        Faults(FaultPlan(crash_every_s=every), 5)


@pytest.mark.anyio
async def test_an_outage_is_over_when_its_time_is_or_somebody_ends_it_or_the_process_stops() -> None:
    own, stop = controls(), asyncio.Event()
    own.begin_outage(0.05)
    await asyncio.wait_for(own.outage_over(stop), 5)
    assert own.outage_left_s() == 0
    own.begin_outage(600)
    waiting = asyncio.create_task(own.outage_over(stop))
    await asyncio.sleep(0)
    own.set_faults(SetFaults(id=1, outage_s=0))
    await asyncio.wait_for(waiting, 5)
    own.begin_outage(600)
    waiting = asyncio.create_task(own.outage_over(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(waiting, 5)


class RunningExchange:
    """Answers no bust by itself."""

    def __init__(self) -> None:
        self.amended = 0

    def amend(self, request: object, then: object) -> None:
        self.amended += 1


def test_no_execution_can_be_busted_from_the_moment_that_an_outage_begins() -> None:
    own, exchange = controls(), RunningExchange()
    answers: list[AnyAnswer] = []
    bust = msgspec.convert({"op": "bust", "id": 1, "order_id": "o"}, ControlRequest)
    down = Refused("unavailable", "the exchange is down; it must be up for this")
    own.take(bust, answers.append)
    assert answers == [down]
    own.started(cast(Exchange, exchange))
    own.take(bust, answers.append)
    assert (exchange.amended, answers) == (1, [down])
    own.begin_outage(60)  # it still runs, to be ended by whoever runs it
    own.take(bust, answers.append)
    assert (exchange.amended, answers) == (1, [down, down])
