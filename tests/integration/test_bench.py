"""`make bench` in its smallest form: each bench starts what it measures, and measures it in turns."""

from pathlib import Path

import msgspec
import pytest

from load import bench
from load.results import Report

SMALLEST = ("--rounds", "1", "--seconds", "0.2", "--connections", "4", "--orders", "20", "--clients", "3")
SHORT = ("--messages", "30", "--long", "2000", "--appends", "3")


def test_each_bench_measures_the_service_against_its_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = [word for name in ("post", "batch", "feed", "growth") for word in ("--only", name)]
    code = bench.main([*SMALLEST, *SHORT, *only, "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("bench-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=Report)
    assert (code, report.wrong) == (0, []), shown
    assert [contest.name for contest in report.contests] == ["post", "batch", "feed", "growth", "growth"]
    assert all(ratio > 0 for contest in report.contests for ratio in contest.ratios)
    assert "orders by batch / binary COPY" in shown
