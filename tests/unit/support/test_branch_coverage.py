import json
from pathlib import Path

import pytest

from tests.support.branch_coverage import judge, main


def totals(branches: int, covered: int, statements: int = 1000, percent: float = 99.0) -> dict[str, float]:
    return {
        "num_branches": branches,
        "covered_branches": covered,
        "num_statements": statements,
        "percent_covered": percent,
    }


def test_ninety_five_branches_in_a_hundred_are_enough() -> None:
    assert judge(totals(100, 95)) == (True, "branch coverage: 95 of 100 branches, 95.0 % (at least 95 %)")


def test_many_covered_lines_do_not_hide_missed_branches() -> None:
    assert judge(totals(100, 94))[0] is False


def test_branches_alone_do_not_hide_missed_lines() -> None:
    assert judge(totals(100, 100, percent=80.0))[0] is False


def test_measuring_nothing_does_not_pass() -> None:
    assert judge(totals(0, 0, statements=0)) == (False, "branch coverage: nothing was measured")


@pytest.mark.parametrize(("covered", "exit_code"), [(99, 0), (50, 1)])
def test_the_exit_code_says_whether_the_report_passes(tmp_path: Path, covered: int, exit_code: int) -> None:
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"totals": totals(100, covered)}))
    assert main(report) == exit_code
