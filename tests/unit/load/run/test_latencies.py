"""HDR histograms: percentiles to one in a thousand, and the curve that the report draws."""

import random

import pytest

from load.run.latencies import Latencies


def test_percentiles_are_those_of_the_sorted_times() -> None:
    dice = random.Random(1)
    times = sorted(dice.lognormvariate(-5, 1) for _ in range(10_000))
    latencies = Latencies()
    for time_s in times:
        latencies.add(time_s)
    for percent in (50, 90, 99, 99.9):
        at = times[round(len(times) * percent / 100) - 1]
        assert latencies.percentile_ms(percent) == pytest.approx(1000 * at, rel=0.002)
    assert latencies.percentile_ms(100) == pytest.approx(1000 * times[-1], rel=0.002)


def test_nothing_measured_is_no_time_and_no_curve() -> None:
    assert (Latencies().percentile_ms(99), Latencies().curve()) == (0.0, [])


def test_a_clock_that_is_ahead_and_an_hour_of_waiting_are_counted_at_the_ends() -> None:
    latencies = Latencies()
    latencies.add(-0.5)
    latencies.add(7200)
    assert latencies.percentile_ms(50) == pytest.approx(0.001)
    assert latencies.percentile_ms(100) == pytest.approx(3_600_000, rel=0.001)


def test_the_curve_rises_and_reaches_as_far_as_measurements_stand_behind_it() -> None:
    latencies = Latencies()
    for number in range(1, 1001):
        latencies.add(number / 1000)
    curve = latencies.curve()
    assert curve == sorted(curve)
    assert [value for percent, value in curve if percent == 50] == [pytest.approx(500, rel=0.002)]
    assert curve[-1] == (pytest.approx(99.95), pytest.approx(1000, rel=0.002))
