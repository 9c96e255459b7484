"""A token bucket: what is in it, what is owed, and when it is full again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.token_bucket import Bucket

STEPS = st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 20)), min_size=1, max_size=40)


def full(per_s: float, burst: float) -> Bucket:
    return Bucket(per_s, burst, -burst / per_s)


def test_a_full_bucket_gives_its_burst_and_then_one_as_each_comes() -> None:
    bucket = full(2.0, 4.0)
    for left in (3, 2, 1, 0):
        bucket.spend(0.0)
        assert bucket.tokens(0.0) == left
    assert bucket.ready_at() == pytest.approx(0.5)
    assert bucket.full_at == pytest.approx(2.0)


def test_what_is_spent_at_once_beyond_the_burst_is_owed() -> None:
    bucket = full(10.0, 10.0)
    bucket.spend(0.0, 1_000)
    assert bucket.tokens(0.0) == pytest.approx(-990)
    assert bucket.ready_at() == pytest.approx(99.1)


@given(steps=STEPS)
def test_it_never_holds_more_than_its_burst_nor_forgets_what_was_spent(steps: list[tuple[float, int]]) -> None:
    bucket, now, spent = full(5.0, 8.0), 0.0, 0
    for pause_s, tokens in steps:
        now += pause_s
        bucket.spend(now, tokens)
        spent += tokens
        assert bucket.tokens(now) <= 8.0
        assert bucket.tokens(now) <= 8.0 + 5.0 * now - spent + 8.0 * len(steps)
        assert bucket.tokens(now) >= 8.0 - spent - 1e-6
