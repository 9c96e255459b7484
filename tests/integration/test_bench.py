"""`make bench` in its smallest form: the product's API and the echo, started and measured."""

from pathlib import Path

import msgspec
import pytest

from load import bench


def test_the_benchmark_measures_durable_orders_and_the_echo_in_turns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = bench.main(["--rounds", "1", "--seconds", "0.3", "--connections", "8", "--reports", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("bench-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=bench.Report)
    assert code == 0, shown
    assert len(report.durable) == len(report.echo) == len(report.ratios) == 1
    assert min(report.durable[0].answers, report.echo[0].answers) > 10
    assert "durable / bare echo" in shown
