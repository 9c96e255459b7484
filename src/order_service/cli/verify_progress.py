"""How far `orders verify` is, on stderr, where that is a terminal."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from order_service.bounds import PROGRESS_STEP


class CheckProgress:
    """One bar, of the part of the work that runs. It is told of each event, and moves with one in PROGRESS_STEP."""

    def __init__(self) -> None:
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        console = Console(stderr=True, color_system=None if plain else "auto")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("", total=None)
        self._step = self._next = 1

    def begin(self, doing: str, total: int) -> None:
        self._bar.reset(self._task, description=doing, total=total)
        self._step = self._next = PROGRESS_STEP if total > PROGRESS_STEP else 1

    def at(self, done: int) -> None:
        if done >= self._next:
            self._bar.update(self._task, completed=done)
            self._next = done + self._step

    def __enter__(self) -> CheckProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
