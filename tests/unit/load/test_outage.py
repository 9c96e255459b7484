"""What `make bench-outage` says of a run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from load import outage
from load.outage import Plan, Report
from load.outage_run import Drain, Fault, Measured, Pair


def measured(name: str, p99_ms: float, unexpected: dict[str, int] | None = None) -> Measured:
    return Measured(name=name, orders=100, p50_ms=1, p99_ms=p99_ms, worst_ms=p99_ms, unexpected=unexpected or {})


def pair(fault: Fault, healthy_ms: float, broken_ms: float, *, drained: float = 290) -> Pair:
    drain = Drain(fault=fault, fault_s=60, backlog=6000, per_second=drained, began_s=1.5, took_s=30, p99_ms=9)
    return Pair(measured("healthy", healthy_ms), measured(fault, broken_ms), drain)


def report(*pairs: Pair, outage_s: float = 0) -> Report:
    return Report(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        machine={},
        plan=Plan(outage_s=outage_s),
        capacity=300,
        phases=[],
        pairs=list(pairs),
        accepted=1000,
        changes={"PUT 202": 3},
        states={"filled": 1000},
        findings=[],
    )


def test_each_fault_is_compared_with_the_healthy_phase_before_it() -> None:
    shown = outage.table(
        report(pair("down", 10, 8), pair("hanging", 10, 11), pair("down", 20, 20), pair("down", 10, 12), outage_s=600)
    )
    assert "| down (2 x) | 15.0 | 14.0 | 0.85 | 0.90 | 0.95 |" in shown
    assert "| hanging (1 x) | 10.0 | 11.0 | 1.10 | 1.10 | 1.10 |" in shown
    assert "| down for 600 s (1 x) | 10.0 | 12.0 | 1.20 | 1.20 | 1.20 |" in shown
    assert "| 60 s hanging | 6,000 | 1.5 s | 290 | 0.97 | 9.0 |" in shown


def test_a_median_over_the_bound_is_missed_and_one_bad_pair_is_not() -> None:
    good = report(pair("down", 10, 12), pair("down", 10, 30), pair("down", 10, 9))
    assert outage.missed_bounds(good) == []
    [missed] = outage.missed_bounds(report(pair("down", 10, 13), pair("hanging", 10, 10)))
    assert missed == "p99 down is 1.30 of that at a healthy exchange, at most 1.25"


def test_a_slow_drain_is_missed() -> None:
    [missed] = outage.missed_bounds(report(pair("down", 10, 10, drained=200)))
    assert missed == "after 60 s down the drain had 0.67 of the capacity, not 0.8"


@pytest.mark.parametrize("wrong", [["--per-second", "0"], ["--pairs", "x"], ["--outage-s", "-1"]])
def test_a_wrong_plan_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        outage.main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err
