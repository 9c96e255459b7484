"""How far a replay is: a bar on a terminal, a line now and then elsewhere, JSON lines on request. All of it
goes to stderr: stdout has results only."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol

import click
import msgspec

from order_service.bounds import PROGRESS_LINE_S
from order_service.cli.output import print_json_lines, while_it_is_read
from projections.rebuild import Progress


class Display(AbstractContextManager["Display"], Protocol):
    def show(self, progress: Progress) -> None: ...


def display(as_json: bool) -> Display:
    if as_json:
        return _JsonLines()
    return _Bar() if sys.stderr.isatty() else _Lines()


class _JsonLines:
    def __enter__(self) -> _JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: Progress) -> None:
        with while_it_is_read(sys.stderr):
            print_json_lines([{"type": "progress", **msgspec.structs.asdict(progress)}], err=True)


class _Lines:
    def __init__(self) -> None:
        self._shown_at = 0.0
        self._phase = ("", "")

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: Progress) -> None:
        phase, now = (progress.projection, progress.phase), time.monotonic()
        if phase == self._phase and now - self._shown_at < PROGRESS_LINE_S:
            return
        self._phase, self._shown_at = phase, now
        where = f"at position {progress.position:,} of {progress.target:,}"
        with while_it_is_read(sys.stderr):
            click.echo(f"{progress.projection}: {progress.phase}, {where}{_pace(progress)}", err=True)


class _Bar:
    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.fields[projection]}", markup=False),
            TextColumn("{task.fields[phase]}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} events", markup=False),
            TextColumn("{task.fields[pace]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        name, phase, pace = progress.projection, progress.phase, _pace(progress).removeprefix(", ")
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=None, projection=name, phase=phase, pace=pace)
        self._bar.update(self._tasks[name], total=progress.target, completed=progress.position, phase=phase, pace=pace)


def _pace(progress: Progress) -> str:
    if not progress.events_per_s:
        return ""
    left = "" if progress.left_s is None else f", {_time(progress.left_s)} left"
    return f", {progress.events_per_s:,.0f} events/s{left}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
