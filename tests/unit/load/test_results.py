"""What every benchmark says of its turns."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from load.results import Contest, Pair, Report, finish, reported, spread, table
from load.servers import ServerFailed


class Plan(Struct, frozen=True):
    rounds: int = 3


def contest(*pairs: tuple[float, float], name: str = "post", **more: Any) -> Contest:
    each = [Pair(product=product, against=against) for product, against in pairs]
    return Contest(
        **{
            "name": name,
            "product": "durable",
            "against": "bare echo",
            "unit": "answers/s",
            "setting": "in turns",
            "pairs": each,
            **more,
        }
    )


def shown(*contests: Contest) -> str:
    return table(reported(Plan(), lambda: contests))


def test_the_ratio_is_taken_within_each_pair_of_turns() -> None:
    lines = shown(contest((50, 100), (160, 200), (15, 50))).splitlines()
    (ratios,) = [line for line in lines if line.startswith("durable / bare echo")]
    assert ratios.split()[-3:] == ["0.400", "0.500", "0.650"]


def test_several_contests_end_with_all_their_ratios() -> None:
    text = shown(contest((50, 100)), contest((1, 4), name="batch", product="orders by batch", against="binary COPY"))
    summary = text[text.index("ratios") :].splitlines()
    assert [line.split()[-1] for line in summary[1:3]] == ["0.500", "0.250"]


def test_other_figures_of_the_turns_are_shown_with_their_spread() -> None:
    pairs = [Pair(product=1, against=2, figures={"p99 ms": p99}) for p99 in (1.0, 2.0, 9.0)]
    (line,) = [line for line in shown(contest(pairs=pairs)).splitlines() if line.startswith("p99 ms")]
    assert line.split()[2:] == ["1.50", "2.00", "5.50"]


def test_what_is_wrong_is_shown_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = contest((1, 1), wrong=["7 events were recorded, not 9"])
    assert finish(Plan(), lambda: [contest((1, 1))], tmp_path, "good") == 0
    assert finish(Plan(), lambda: [wrong], tmp_path, "bad") == 1
    assert "WRONG: 7 events were recorded, not 9" in capsys.readouterr().out


def test_a_server_that_fails_ends_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> list[Contest]:
        raise ServerFailed("it does not answer")

    assert finish(Plan(), fails, tmp_path, "bench") == 1
    assert capsys.readouterr().err == "error: it does not answer\n"
    assert list(tmp_path.iterdir()) == []


def test_what_it_is_measured_against_may_fail_to_answer() -> None:
    assert Pair(product=5, against=0).ratio == 0


def test_one_turn_has_no_spread() -> None:
    assert spread([3.0]) == (3.0, 3.0, 3.0)


def test_the_report_is_json_that_reads_back(tmp_path: Path) -> None:
    made = contest((50, 100), notes=["a note"])
    finish(Plan(), lambda: [made], tmp_path, "bench")
    (path,) = tmp_path.glob("bench-*.json")
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    assert (report.contests, report.plan) == ([made], {"rounds": 3})
