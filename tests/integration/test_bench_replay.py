"""`make bench-replay` in its smallest form: a log of realistic histories, and projections that catch up with it."""

from pathlib import Path

import msgspec
import pytest

from load import catch_up
from projections.registry import PROJECTIONS


def test_catching_up_is_measured_against_raw_copies_of_the_same_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = catch_up.main(["--events", "10000", "--rounds", "1", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("replay-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=catch_up.Report)
    assert code == 0, shown
    assert set(report.laps) == {*(projection.name for projection in PROJECTIONS), catch_up.ALL}
    assert all(lap.ratio > 0 for laps in report.laps.values() for lap in laps)
    assert report.events >= 10_000
    assert report.wrong == []
