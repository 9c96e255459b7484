"""What the campaign with a plain place_order finds in a list of what is in doubt, and in the exchange's record."""

from __future__ import annotations

from collections import Counter

import pytest

from load.balance import Findings
from orders.domain import events as e
from tests.campaigns.doubt import check_record, compare_list, unknown_attempts
from tests.support.order_events import accepted, doubted, failed, placed, resolved, started


@pytest.mark.parametrize(
    ("history", "attempts"),
    [
        ([placed()], []),
        ([placed(), started()], [1]),
        ([placed(), started(), doubted()], [1]),
        ([placed(), started(), failed(1)], []),
        ([placed(), started(), failed(1), started(2), doubted(2)], [2]),
        ([placed(), started(), doubted(), started(2), doubted(2)], [1, 2]),
        ([placed(), started(), doubted(), accepted()], []),
        ([placed(), started(), doubted(), resolved(placed=False), started(2), doubted(2)], [2]),
    ],
)
def test_the_attempts_in_doubt_are_those_that_were_started_and_never_settled(
    history: list[e.OrderEvent], attempts: list[int]
) -> None:
    assert unknown_attempts(history) == attempts


@pytest.mark.parametrize(
    ("listed", "finding"),
    [
        ({"a": [1], "b": [2]}, None),
        ({"a": [1]}, "not listed"),
        ({"a": [1], "b": [1]}, "wrong attempt"),
        ({"a": [1], "b": [1, 2]}, "wrong attempt"),
        ({"a": [1], "b": [2], "c": [1]}, "listed wrongly"),
    ],
)
def test_a_list_that_is_not_that_of_the_log_is_found(listed: dict[str, list[int]], finding: str | None) -> None:
    findings = Findings()
    rows = [{"order_id": order_id, "attempts_in_doubt": attempts} for order_id, attempts in listed.items()]
    compare_list({"a": [1], "b": [2]}, rows, findings)
    assert findings.counts == ({finding: 1} if finding else {})


@pytest.mark.parametrize(
    ("placed_at_exchange", "finding"),
    [
        (["a", "b"], None),
        (["a"], "not placed"),
        (["a", "b", "a"], "placed twice"),
        (["a", "b", "c"], "unknown"),
    ],
)
def test_an_order_that_was_not_placed_exactly_once_is_found(placed_at_exchange: list[str], finding: str | None) -> None:
    findings = Findings()
    check_record({"a", "b"}, Counter(placed_at_exchange), findings)
    assert findings.counts == ({finding: 1} if finding else {})
