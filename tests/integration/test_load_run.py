"""`make load` in its shortest form: its own service, an exchange that is gone for a while, the balance, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from load.run.__main__ import main
from load.run.report import Report
from load.scenarios import FILE

PHASES = [
    {"name": "up", "seconds": 1.0, "per_second": 60},
    {"name": "down", "seconds": 1.0, "per_second": 60, "faults": {"outage_s": 1.0}},
    {"name": "back", "seconds": 1.0, "per_second": 60},
]


def scenario_file(folder: Path, **changes: Any) -> Path:
    scenarios = json.loads(FILE.read_text())["scenarios"]
    generous = dict.fromkeys(scenarios["default"]["mix"], 30_000)
    thresholds = {**scenarios["default"]["thresholds"], "p99_ms": generous, "feed_p99_ms": 30_000}
    short = {**scenarios["default"], "users": 20, "sockets": 3, "phases": PHASES, "thresholds": thresholds, **changes}
    path = folder / "scenarios.json"
    path.write_text(json.dumps({"scenarios": {"short": short}}))
    return path


def test_a_load_while_the_exchange_goes_and_comes_ends_with_the_balance_closed_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXCHANGE_FILL_DELAY", "0.1-0.3")
    arguments = ["short", "--own", "--scenarios", str(scenario_file(tmp_path)), "--reports", str(tmp_path)]
    code = main(arguments)
    shown = capsys.readouterr()
    assert code == 0, shown.out + shown.err
    (written,) = tmp_path.glob("load-short-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=Report)
    assert report.balance.closes
    assert (report.requests, sum(one.requests for one in report.operations)) == (180, 180)
    assert all(one.requests and not one.failed for one in report.operations)
    checks = {check.name: check.looked_at for check in report.balance.checks}
    assert len(checks) == 9
    empty = [name for name, looked_at in checks.items() if looked_at.startswith("0 ")]
    assert set(empty) <= {"A cancel that was confirmed holds"}  # a slow machine answers cancels with 202 only
    assert report.balance.states["filled"] > 10
    down = report.seconds[1].states
    assert sum(count for state, count in down.items() if state in ("queued", "sending", "in_doubt")) > 5
    assert report.feed.messages > 3 * report.balance.accepted
    assert written.with_suffix(".html").read_text().count("<svg") >= 7
    assert "PASSED" in shown.out


def test_another_machine_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BASE_URL", "http://orders.example.com")
    assert main([]) == 2
    assert "error: http://orders.example.com is another machine" in capsys.readouterr().err


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fast"]) == 2
    assert "there is no scenario 'fast'" in capsys.readouterr().err
