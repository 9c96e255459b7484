"""Holds branch coverage to its bound: `python -m tests.support.branch_coverage REPORT.json`.

coverage.py's own `fail_under` judges lines and branches together, where many plain lines can hide a missed branch.
"""

import json
import sys
from pathlib import Path
from typing import Any

LEAST_PERCENT = 95.0  # of the branches that the measured package has


def judge(totals: dict[str, Any]) -> tuple[bool, str]:
    """Whether the totals of a coverage.py JSON report pass, and the sentence to print."""
    branches, covered = totals["num_branches"], totals["covered_branches"]
    if not totals["num_statements"]:
        return False, "branch coverage: nothing was measured"
    percent = 100.0 * covered / branches if branches else 100.0
    sentence = f"branch coverage: {covered} of {branches} branches, {percent:.1f} % (at least {LEAST_PERCENT:.0f} %)"
    return min(percent, totals["percent_covered"]) >= LEAST_PERCENT, sentence


def main(report: Path) -> int:
    passed, sentence = judge(json.loads(report.read_text())["totals"])
    print(sentence if passed else f"error: {sentence}", file=sys.stdout if passed else sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
