"""Axes: round numbers, and values where they belong."""

import pytest

from load.page.scales import Scale, linear, logarithmic


@pytest.mark.parametrize(
    ("most", "high", "ticks"),
    [
        (203, 300, [0, 100, 200, 300]),
        (7, 8, [0, 2, 4, 6, 8]),
        (1, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_a_linear_axis_has_room_for_all_and_round_numbers(most: float, high: float, ticks: list[float]) -> None:
    scale = linear(most, 0, 100)
    assert (scale.high, scale.ticks(4)) == (high, pytest.approx(ticks))
    assert (scale.at(0), scale.at(high)) == (0, 100)


def test_a_logarithmic_axis_has_its_values_between_round_numbers() -> None:
    scale = logarithmic([3.1, 88], 100, 0)
    assert (scale.low, scale.high, scale.ticks(4)) == (2, 100, pytest.approx([2, 5, 10, 20, 50, 100]))
    assert scale.at(2) == 100
    assert scale.at(20) == pytest.approx(41.1, abs=0.1)


@pytest.mark.parametrize("values", [[], [0.0], [5.0]])
def test_a_logarithmic_axis_of_little_has_a_decade(values: list[float]) -> None:
    scale = logarithmic(values, 0, 100)
    assert scale.high >= 10 * scale.low


def test_what_is_outside_is_drawn_at_the_edge() -> None:
    scale = Scale(low=1, high=10, start=0, end=100, log=True)
    assert (scale.at(0), scale.at(1000)) == (0, 100)
