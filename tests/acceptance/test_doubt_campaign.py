"""A plain place_order and a killed adapter, whose doubt is settled (long form: python -m tests.campaigns.doubt)."""

import pytest

from tests.campaigns.doubt import run


@pytest.mark.timeout(240)  # of a machine that is busy with other tests; alone it takes some 15 s
def test_no_order_is_placed_twice_and_what_was_in_doubt_ends_as_placed_once() -> None:
    outcome = run(kills=3, seed=5, orders=500, per_second=60)
    assert not outcome.findings, outcome
    assert outcome.balance.closes, outcome
    assert outcome.balance.states == {"working": 500}, outcome
    assert outcome.kills == 3
    assert outcome.in_doubt > outcome.found_placed > 0, "kills should have met calls before and after they placed"
