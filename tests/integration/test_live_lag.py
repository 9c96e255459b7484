"""The lag of query tables behind a log that grows, measured with the product's own projector."""

from pathlib import Path

import msgspec
import pytest

from load import live_lag
from projections.registry import PROJECTIONS


def test_how_far_each_projection_is_behind_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_lag, "WARM_UP_S", 0.1)
    code = live_lag.main(["--events-per-s", "200", "--seconds", "0.5", "--folder", str(tmp_path)])
    shown = capsys.readouterr().out
    (written,) = tmp_path.glob("live-lag-*.json")
    report = msgspec.json.decode(written.read_bytes(), type=live_lag.Report)
    assert code == 0, shown
    assert set(report.lags) == {projection.name for projection in PROJECTIONS}
    assert all(0 < lag.p99_ms <= lag.worst_ms for lag in report.lags.values())
    assert report.appends >= 10
