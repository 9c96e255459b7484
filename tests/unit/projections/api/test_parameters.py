"""The parameters that every read takes."""

from projections.api.parameters import ReadParameters
from projections.queries import Asked


def test_a_read_waits_for_five_seconds_unless_it_says_otherwise() -> None:
    assert ReadParameters([]).asked() == Asked(min_position=None, wait_ms=5000)
    assert ReadParameters([("min_position", "7"), ("wait_ms", "0")]).asked() == Asked(min_position=7, wait_ms=0)
