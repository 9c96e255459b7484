"""`make bench-reports` in its smallest form: a real exchange, the product's adapter, and the copy of what they made."""

from pathlib import Path

import msgspec
import pytest

from load import report_rate
from load.results import Report


def test_reports_are_measured_against_raw_copy_and_found_in_the_log_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = report_rate.main(["--reports", "3000", "--pieces", "1", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("reports-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=Report)
    assert code == 0, shown
    (contest,) = report.contests
    assert (len(contest.pairs), contest.wrong) == (1, [])
    assert 0 < contest.ratios[0] < 1
    assert "fills into the log / raw COPY of them" in shown
