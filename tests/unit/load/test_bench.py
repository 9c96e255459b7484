"""What `make bench` is asked for, and what it says of a round of answers."""

from pathlib import Path

import pytest

from load import bench, durable_post
from load.http_client import Round
from load.results import contest_table
from load.servers import Server, Stage

NOWHERE = Stage(Path(), "", Server("nowhere", 0, 0))


def test_a_turn_shows_its_percentiles() -> None:
    latencies = [number / 1000 for number in range(1, 101)]
    pair = durable_post.pair(Round(2.0, latencies[::-1], {201: 100}, {}), Round(1.0, [0.001], {201: 1}, {}))
    assert (pair.product, pair.against) == (50.0, 1.0)
    assert [pair.figures[f"durable, {name} ms"] for name in ("p50", "p99", "worst")] == [51.0, 100.0, 100.0]


def test_answers_that_no_one_expects_are_shown_and_not_hidden_in_the_mean() -> None:
    measured = Round(1.0, [0.1], {201: 7, 503: 2}, {"the connection was closed": 1})
    well = Round(1.0, [0.1], {201: 5}, {})
    contest = durable_post.contest(durable_post.Plan(), [(measured, well), (well, well)])
    assert contest.wrong == ["durable answered {'503': 2, 'the connection was closed': 1}"]


def test_a_turn_without_any_answer_is_shown_as_such() -> None:
    nothing = Round(1.0, [], {}, {"the connection was closed": 9})
    contest = durable_post.contest(durable_post.Plan(), [(nothing, nothing)])
    assert contest.ratios == [0.0]
    assert "WRONG: bare echo answered" in contest_table(contest)


def test_more_connections_than_open_files_end_with_one_line() -> None:
    with pytest.raises(SystemExit, match="open files"):
        durable_post.require_open_files(10**9)
    durable_post.require_open_files(1)


def test_each_bench_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def note(name: str) -> None:
        monkeypatch.setitem(bench.BENCHES, name, lambda plan, stage: ran.append(name) or [])

    for name in tuple(bench.BENCHES):
        note(name)
    list(bench.contests(bench.read(["--only", "growth", "--only", "batch"])[0], NOWHERE))
    assert ran == ["batch", "growth"]
    list(bench.contests(bench.read([])[0], NOWHERE))
    assert ran[2:] == ["post", "batch", "feed", "growth", "replay"]


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--seconds", "0"], ["--connections", "x"], ["--only", "post2"]])
def test_a_wrong_plan_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err
