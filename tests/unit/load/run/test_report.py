"""Whether a run has passed: its balance closes and every threshold holds."""

from __future__ import annotations

import msgspec

from load.run.report import Report, summary
from load.run.users import ROUTES
from tests.support.load_report import load_report


def test_a_sound_run_has_passed_and_says_so_for_each_threshold() -> None:
    report = load_report()
    assert report.passed
    assert [verdict.name for verdict in report.verdicts] == [
        *(f"p99 of {route}" for route in ROUTES.values()),
        "failed requests",
        "answered of what was meant to leave",
        "p99 of the feed's delay",
        "until no order waits for the exchange",
        "orders that the exchange rejected",
    ]
    assert "MISSED" not in summary(report)


def test_one_threshold_that_is_missed_fails_the_run() -> None:
    report = load_report(failed=1)
    assert [verdict.name for verdict in report.verdicts if not verdict.holds] == ["failed requests"]
    assert not report.passed
    assert "MISSED failed requests: 1.00 %, at most 0.1 %" in summary(report)


def test_orders_that_the_exchange_rejects_fail_the_run() -> None:
    report = load_report(rejected=1)
    assert report.balance.closes
    assert [verdict.name for verdict in report.verdicts if not verdict.holds] == ["orders that the exchange rejected"]
    assert not report.passed
    assert "MISSED orders that the exchange rejected: 5.00 %, at most 0 %" in summary(report)


def test_market_orders_that_are_not_filled_are_told() -> None:
    assert "not filled" not in summary(load_report())
    assert "3 market orders not filled" in summary(msgspec.structs.replace(load_report(), unfilled=3))


def test_requests_that_got_no_answer_count_as_not_answered() -> None:
    report = load_report(lost=2)
    missed = [verdict.name for verdict in report.verdicts if not verdict.holds]
    assert missed == ["failed requests", "answered of what was meant to leave"]


def test_a_balance_that_does_not_close_fails_the_run() -> None:
    report = load_report(findings=("load-7 is two orders",))
    assert all(verdict.holds for verdict in report.verdicts)
    assert not report.passed
    assert "WRONG  A repeated POST finds the same order" in summary(report)


def test_the_report_is_the_same_after_json() -> None:
    report = load_report()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
