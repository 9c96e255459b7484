"""The long form of the adapter's property: a world keeps the promises, and an adapter that breaks one is found."""

from __future__ import annotations

import pytest

from exchange_adapter import reconciler
from tests.campaigns.adapter_worlds import live
from tests.property.adapter_world import VENUES


@pytest.mark.parametrize("number", range(len(VENUES)))
def test_a_world_lives_and_keeps_the_promises(number: int) -> None:
    lived = live(number, seed=7)
    assert lived.broken is None
    assert lived.calls > 0
    assert lived.virtual_s > 60


def test_an_adapter_that_believes_not_found_at_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "not_found_counts_after_s", lambda venue, limits: 0.0)
    asks = sorted(VENUES).index("asks")
    broken = [live(number, seed=7).broken or "" for number in range(asks, 8 * len(VENUES), len(VENUES))]
    assert any("promise 4" in told for told in broken), broken
    assert "--worlds 1 --seed 7 --first " in next(filter(None, broken))
