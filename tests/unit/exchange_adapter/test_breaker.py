"""The circuit breaker: closed at one error in ten, open when all fail, one probe at a time."""

from __future__ import annotations

from random import Random

from exchange_adapter.bounds import BREAKER_OPENS_AFTER, BREAKER_PROBE_S
from exchange_adapter.breaker import Breaker


def fail(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.leave(probe=breaker.enter(), answered=False, now=now)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, BREAKER_OPENS_AFTER, now)
    assert breaker.is_open
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, BREAKER_OPENS_AFTER - 1)
    assert breaker.allows(0.0)
    fail(breaker, 1)
    assert not breaker.allows(0.0)


def test_it_does_not_open_at_one_error_in_ten() -> None:
    breaker, random = Breaker(), Random(1)
    for _ in range(100_000):
        breaker.leave(probe=breaker.enter(), answered=random.random() >= 0.1, now=0.0)
        assert not breaker.is_open


def test_one_probe_at_a_time_goes_out_and_an_answer_closes_it() -> None:
    breaker = opened()
    assert not breaker.allows(BREAKER_PROBE_S[0] - 0.01)
    assert breaker.allows(BREAKER_PROBE_S[0])
    assert breaker.enter()
    assert not breaker.allows(BREAKER_PROBE_S[0] + 1)
    breaker.leave(probe=True, answered=True, now=1.0)
    assert breaker.allows(1.0)
    assert not breaker.enter()


def test_failed_probes_come_less_often_up_to_a_bound() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(8):
        retry_at = breaker.retry_at
        assert retry_at is not None
        pauses.append(retry_at - now)
        now = retry_at
        breaker.leave(probe=breaker.enter(), answered=False, now=now)
    assert pauses[0] == BREAKER_PROBE_S[0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == BREAKER_PROBE_S[1]


def test_a_probe_that_made_no_call_leaves_it_as_it_was() -> None:
    breaker = opened()
    assert breaker.enter()
    breaker.leave(probe=True, answered=None, now=1.0)
    assert breaker.is_open
    assert breaker.allows(1.0)


def test_failures_of_calls_that_were_under_way_do_not_put_the_probe_off() -> None:
    breaker = opened()
    breaker.leave(probe=False, answered=False, now=0.4)
    assert breaker.retry_at == BREAKER_PROBE_S[0]
