"""What a benchmark measures, and what it leaves: a table on the terminal, and all its numbers as JSON.

The product and what it is measured against take turns, so that a machine that becomes slower slows both; the ratio is
taken within each pair of turns, and shown with its median and quartiles.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from load.servers import ServerFailed

REPORTS = Path(__file__).parent / "reports"
NAME_WIDTH = 44  # characters of a table's first column


class Pair(Struct, frozen=True, kw_only=True):
    """One turn of the product, and one of what it is measured against, in the contest's unit. `figures` are others of
    the same turns, by name."""

    product: float
    against: float
    figures: dict[str, float] = {}

    @property
    def ratio(self) -> float:
        return self.product / self.against if self.against else 0.0


class Contest(Struct, frozen=True, kw_only=True):
    """`product` and `against` name what took turns, `setting` says how; `wrong` is what was not as it must be, `notes`
    is what else there is to say."""

    name: str
    product: str
    against: str
    unit: str
    setting: str
    pairs: list[Pair]
    notes: list[str] = []
    wrong: list[str] = []

    @property
    def ratios(self) -> list[float]:
        return [pair.ratio for pair in self.pairs]


class Report(Struct, frozen=True, kw_only=True):
    """`load` is the machine's load average at the start: what else ran."""

    at: datetime
    machine: dict[str, str]
    load: float
    plan: dict[str, Any]
    contests: list[Contest]

    @property
    def wrong(self) -> list[str]:
        return [line for contest in self.contests for line in contest.wrong]


class Dated(Protocol):
    """A struct; `at` is when it was measured."""

    @property
    def at(self) -> datetime: ...


AnyReport = TypeVar("AnyReport", bound=Dated)


def reported(plan: Struct, contests: Callable[[], Sequence[Contest]]) -> Report:
    """Measures, and says when, where and by which plan."""
    load = os.getloadavg()[0]
    measured = list(contests())
    plain: dict[str, Any] = msgspec.to_builtins(plan)
    return Report(at=datetime.now(UTC), machine=machine(), load=load, plan=plain, contests=measured)


def finish(plan: Struct, contests: Callable[[], Sequence[Contest]], folder: Path, name: str) -> int:
    """Measures, prints and writes; the exit code, which is 1 where a server failed or something was wrong."""
    report = conclude(lambda: reported(plan, contests), table, folder, name)
    return 1 if report is None or report.wrong else 0


def conclude(
    measure: Callable[[], AnyReport], table: Callable[[AnyReport], str], folder: Path, name: str
) -> AnyReport | None:
    """The report, printed and written; None where a server failed, which is said in one line."""
    try:
        report = measure()
    except ServerFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return None
    print(table(report))
    print(f"\nwritten to {write(report, folder, name)}")
    return report


def write(report: Dated, folder: Path, name: str) -> Path:
    """Where it went: a file of its own in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{report.at:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return path


def table(report: Report) -> str:
    parts = [contest_table(contest) for contest in report.contests]
    if len(parts) > 1:
        parts.append("\n".join([_head("ratios"), *(_ratio_line(contest) for contest in report.contests)]))
    return "\n\n".join([*parts, f"load average at the start {report.load:.1f}; nothing is pinned"])


def contest_table(contest: Contest) -> str:
    pairs = contest.pairs
    lines = [f"{contest.name}: {contest.setting}", _head()]
    lines.append(_line(f"{contest.product}, {contest.unit}", [pair.product for pair in pairs]))
    lines.append(_line(f"{contest.against}, {contest.unit}", [pair.against for pair in pairs]))
    lines.append(_ratio_line(contest))
    for figure in pairs[0].figures if pairs else ():
        lines.append(_line(figure, [pair.figures[figure] for pair in pairs]))
    return "\n".join([*lines, *contest.notes, *(f"WRONG: {line}" for line in contest.wrong)])


def _ratio_line(contest: Contest) -> str:
    return _line(f"{contest.product} / {contest.against}", contest.ratios, form=".3f")


def _head(title: str = "") -> str:
    return f"{title:{NAME_WIDTH}}{'lower quartile':>16}{'median':>12}{'upper quartile':>16}"


def _line(name: str, values: Sequence[float], *, form: str | None = None) -> str:
    low, middle, high = (format(value, form or _form(value)) for value in spread(values or [0.0]))
    return f"{name:{NAME_WIDTH}}{low:>16}{middle:>12}{high:>16}"


def _form(value: float) -> str:
    """Three digits at least."""
    return ",.0f" if abs(value) >= 100 else ",.1f" if abs(value) >= 10 else ".2f"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile (all three the value itself where there is one)."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def machine() -> dict[str, str]:
    names = ("order-service", "litestar", "granian", "psycopg", "msgspec")
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        **{name: version(name) for name in names},
    }


def arguments_of(command: str, doc: str | None) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(prog=command, description=(doc or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=REPORTS, help="of the JSON report")
    return parser


def number_from(kind: Callable[[str], float], low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    return read
