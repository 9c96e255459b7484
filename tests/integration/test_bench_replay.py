"""`make bench-replay` in its smallest form: a log of realistic histories, and projections that catch up with it."""

from pathlib import Path

import msgspec
import pytest

from load import catch_up
from load.results import Report
from projections.registry import PROJECTIONS


def test_catching_up_is_measured_against_raw_copies_of_the_same_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = catch_up.main(["--events", "3000", "--rounds", "1", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("replay-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=Report)
    assert code == 0, shown
    assert [contest.product for contest in report.contests] == [*(one.name for one in PROJECTIONS), catch_up.ALL]
    assert all(ratio > 0 for contest in report.contests for ratio in contest.ratios)
    assert report.wrong == []
