"""What a benchmark leaves: its table on the terminal, and all its numbers as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from load.servers import ServerFailed


class Dated(Protocol):
    """A struct; `at` is when it was measured."""

    @property
    def at(self) -> datetime: ...


Report = TypeVar("Report", bound=Dated)


def conclude(measure: Callable[[], Report], table: Callable[[Report], str], folder: Path, name: str) -> Report | None:
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
