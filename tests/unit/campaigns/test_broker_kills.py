"""What the campaign on a broker that is killed says of an order's attempts."""

from __future__ import annotations

import pytest

from load.balance import Findings
from orders.domain import events as e
from tests.campaigns.broker_kills import check_attempts
from tests.support.order_events import accepted, doubted, failed, placed, started


@pytest.mark.parametrize(
    ("history", "attempts", "found"),
    [
        ([placed()], 0, False),
        ([placed(), started(), accepted()], 1, False),
        ([placed(), started(), failed(1), started(2), accepted()], 2, False),
        ([placed(), started(), started(2)], 2, True),
        ([placed(), started(), doubted(), started(2), accepted()], 2, True),
        ([placed(), started(), accepted(), started(2)], 2, True),
    ],
)
def test_an_attempt_begins_only_when_the_one_before_has_surely_failed(
    history: list[e.OrderEvent], attempts: int, found: bool
) -> None:
    findings = Findings()
    assert check_attempts("o", history, findings) == attempts
    assert bool(findings) is found
