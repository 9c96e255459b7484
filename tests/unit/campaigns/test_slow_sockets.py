"""What the campaign on clients that stop reading finds, beside what the service says itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from load.balance import Findings
from tests.campaigns import slow_sockets

pytestmark = pytest.mark.anyio


def in_turn(*answers: set[int]) -> Callable[[], set[int]]:
    """The last one again and again."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("peers", "found"),
    [
        (in_turn({1, 2, 9}, {2, 9}, {9}), []),
        (in_turn({1, 2, 9}, {2, 9}), ["not cut"]),
    ],
)
async def test_who_is_closed_has_no_connection_any_more(
    peers: Callable[[], set[int]], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_sockets, "CUT_S", 0.3)
    findings = Findings()
    await slow_sockets.check_cuts(peers, {1, 2}, findings)
    assert list(findings.counts) == found


@pytest.mark.parametrize(("more", "found"), [(slow_sockets.SPARE_DESCRIPTORS, []), (60, ["descriptors"])])
async def test_who_is_closed_leaves_no_descriptor(more: int, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_sockets, "CUT_S", 0.3)
    findings = Findings()
    await slow_sockets.check_descriptors(50, lambda: 50 + more, findings)
    assert list(findings.counts) == found
