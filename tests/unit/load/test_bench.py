"""What `make bench` says of its rounds."""

from datetime import UTC, datetime

import msgspec
import pytest

from load import bench
from load.http_client import Round


def rounds(*per_second: float) -> list[bench.Measured]:
    return [bench.summary(Round(1.0, [0.001] * int(count), {201: int(count)}, {})) for count in per_second]


def report(durable: list[bench.Measured], echo: list[bench.Measured]) -> bench.Report:
    ratios = [one.per_second / other.per_second for one, other in zip(durable, echo, strict=True)]
    return bench.Report(
        at=datetime(2026, 1, 1, tzinfo=UTC), machine={}, plan=bench.Plan(), durable=durable, echo=echo, ratios=ratios
    )


def test_the_ratio_is_taken_within_each_pair_of_rounds() -> None:
    shown = bench.table(report(rounds(50, 80, 30), rounds(100, 100, 100)))
    assert shown.splitlines()[-1].split() == ["durable", "/", "bare", "echo", "0.40", "0.50", "0.65"]


def test_a_round_shows_its_percentiles() -> None:
    latencies = [number / 1000 for number in range(1, 101)]
    measured = bench.summary(Round(2.0, latencies[::-1], {201: 100}, {}))
    assert (measured.per_second, measured.answers, measured.worst_ms) == (50.0, 100, 100.0)
    assert (measured.p50_ms, measured.p99_ms) == (51.0, 100.0)


def test_answers_that_no_one_expects_are_shown_and_not_hidden_in_the_mean() -> None:
    measured = bench.summary(Round(1.0, [0.1], {201: 7, 503: 2}, {"the connection was closed": 1}))
    assert measured.unexpected == {"503": 2, "the connection was closed": 1}
    assert "durable: unexpected {'503': 2" in bench.table(report([measured], rounds(5)))


def test_a_round_without_any_answer_is_shown_as_such() -> None:
    measured = bench.summary(Round(1.0, [], {}, {"the connection was closed": 9}))
    assert (measured.answers, measured.per_second, measured.worst_ms) == (0, 0.0, 0.0)


def test_one_round_has_no_spread() -> None:
    assert bench.spread([3.0]) == (3.0, 3.0, 3.0)


def test_more_connections_than_open_files_end_with_one_line() -> None:
    with pytest.raises(SystemExit, match="open files"):
        bench.require_open_files(10**9)
    bench.require_open_files(1)


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--seconds", "0"], ["--connections", "x"]])
def test_a_wrong_plan_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_the_report_is_json_that_reads_back(tmp_path: object) -> None:
    made = report(rounds(50), rounds(100))
    assert msgspec.json.decode(msgspec.json.encode(made), type=bench.Report) == made
