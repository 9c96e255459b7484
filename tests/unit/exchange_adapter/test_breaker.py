"""The circuit breaker: closed at one error in ten, open when all fail, one probe at a time, and few calls at first."""

from __future__ import annotations

from random import Random

from exchange_adapter.bounds import BREAKER_OPENS_AFTER, BREAKER_PROBE_S
from exchange_adapter.breaker import Breaker


def fail(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.leave(probe=breaker.enter(now), answered=False, now=now)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, BREAKER_OPENS_AFTER, now)
    assert breaker.is_open
    return breaker


def fill(breaker: Breaker, now: float = 0.0) -> int:
    """Begins as many calls as it allows; the pool would allow no more than 500."""
    calls = 0
    while breaker.allows(now) and calls < 500:
        breaker.enter(now)
        calls += 1
    return calls


def answer(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.leave(probe=False, answered=True, now=now)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, BREAKER_OPENS_AFTER - 1)
    assert breaker.allows(0.0)
    fail(breaker, 1)
    assert not breaker.allows(0.0)


def test_it_does_not_open_at_one_error_in_ten() -> None:
    breaker, random = Breaker(), Random(1)
    for _ in range(100_000):
        breaker.leave(probe=breaker.enter(0.0), answered=random.random() >= 0.1, now=0.0)
        assert not breaker.is_open


def test_one_probe_at_a_time_goes_out_and_an_answer_closes_it() -> None:
    breaker = opened()
    assert not breaker.allows(BREAKER_PROBE_S[0] - 0.01)
    assert breaker.allows(BREAKER_PROBE_S[0])
    assert breaker.enter(BREAKER_PROBE_S[0])
    assert not breaker.allows(BREAKER_PROBE_S[0] + 1)
    breaker.leave(probe=True, answered=True, now=1.0)
    assert breaker.allows(1.0)
    assert not breaker.enter(1.0)


def test_failed_probes_come_less_often_up_to_a_bound() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        retry_at = breaker.retry_at
        assert retry_at is not None
        pauses.append(retry_at - now)
        now = retry_at
        breaker.leave(probe=breaker.enter(now), answered=False, now=now)
    assert pauses[0] == BREAKER_PROBE_S[0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == BREAKER_PROBE_S[1]


def test_a_probe_that_made_no_call_leaves_it_as_it_was() -> None:
    breaker = opened()
    assert breaker.enter(1.0)
    breaker.leave(probe=True, answered=None, now=1.0)
    assert breaker.is_open
    assert breaker.allows(1.0)


def test_failures_of_calls_that_were_under_way_do_not_put_the_probe_off() -> None:
    breaker = Breaker()
    breaker.enter(0.0)
    fail(breaker, BREAKER_OPENS_AFTER)
    breaker.leave(probe=False, answered=False, now=0.4)
    assert breaker.retry_at == BREAKER_PROBE_S[0]


def test_few_calls_are_in_flight_until_the_first_is_answered_and_soon_as_many_as_the_pool_has() -> None:
    breaker, now = Breaker(), 0.0
    in_flight = fill(breaker, now)
    assert in_flight == BREAKER_OPENS_AFTER
    while in_flight < 500:
        now += 0.5
        answer(breaker, in_flight, now)
        in_flight = fill(breaker, now)
    assert now == 1.5


def test_room_that_is_not_used_does_not_grow() -> None:
    breaker = Breaker()
    for _ in range(10_000):
        breaker.enter(0.0)
        answer(breaker, 1)
    assert fill(breaker) == BREAKER_OPENS_AFTER


def test_calls_that_fail_one_by_one_make_no_room_for_others() -> None:
    breaker = Breaker()
    fill(breaker)
    for failed in range(1, BREAKER_OPENS_AFTER + 1):
        breaker.leave(probe=False, answered=False, now=10.0)
        assert breaker.is_open == (failed == BREAKER_OPENS_AFTER)
        assert fill(breaker, 10.0) == 0


def test_after_a_probe_was_answered_few_calls_are_in_flight_again() -> None:
    breaker = Breaker()
    for _ in range(3):
        answer(breaker, fill(breaker))
    in_flight = fill(breaker)
    assert in_flight > 300
    for _ in range(in_flight):
        breaker.leave(probe=False, answered=False, now=10.0)
    assert breaker.enter(11.0)
    breaker.leave(probe=True, answered=True, now=11.0)
    assert fill(breaker, 11.0) == BREAKER_OPENS_AFTER


def test_a_long_silence_leaves_no_room_for_further_calls_until_an_answer_comes() -> None:
    breaker = Breaker(silent_after_s=5.0)
    for _ in range(2):
        answer(breaker, fill(breaker))
    for _ in range(BREAKER_OPENS_AFTER):
        breaker.enter(1.0)
    assert breaker.allows(6.0)
    assert not breaker.allows(6.1)
    answer(breaker, 1, 6.1)
    assert fill(breaker, 6.1) > BREAKER_OPENS_AFTER


def test_one_call_that_hangs_keeps_no_other_from_being_made() -> None:
    breaker = Breaker(silent_after_s=5.0)
    breaker.enter(0.0)
    assert fill(breaker, 9.0) == BREAKER_OPENS_AFTER - 1
