"""What commands print: tables and colour on a terminal only (NO_COLOR obeyed), tab-separated lines otherwise, JSON on
`--json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import click
import msgspec

from order_service.logs.printable import printable

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def on_terminal() -> bool:
    return sys.stdout.isatty()


def coloured() -> bool:
    """https://no-color.org"""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def while_it_is_read(stream: TextIO) -> Iterator[None]:
    """For commands whose work goes on where the reader of what they print has gone (`| head`): from then on nothing is
    printed to `stream`."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_json_lines(values: Iterable[Any], *, err: bool = False) -> None:
    for value in values:
        click.echo(msgspec.json.encode(value), err=err)


def print_line(cells: Sequence[Any], widths: Sequence[int], colour: str = "") -> None:
    """One line of a stream; on a terminal in columns of these widths at least."""
    texts = [_text(cell) for cell in cells]
    if not on_terminal():
        click.echo("\t".join(texts))
        return
    line = "  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip()
    click.echo(click.style(line, fg=colour) if colour and coloured() else line)


def print_rows(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    header: bool = True,
    colour_of: Callable[[Sequence[Any]], str] = lambda row: "",
) -> None:
    """A table; on a terminal the first column is never broken."""
    if not on_terminal():
        for row in [columns, *rows] if header else rows:
            click.echo("\t".join(_text(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row), style=colour_of(row))
    # Without "auto" there is no escape sequence at all. Our texts are no markup: they may hold [brackets].
    Console(color_system="auto" if coloured() else None, markup=False, highlight=False, emoji=False).print(table)


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    shown = [(name, _text(value)) for name, value in fields]
    if not on_terminal():
        for name, value in shown:
            click.echo(f"{name}\t{value}")
        return
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        padded = name.ljust(width)
        click.echo(f"{click.style(padded, dim=True) if coloured() else padded}  {value}")


def _text(value: Any) -> str:
    """One cell: what would break the line or the columns becomes a space, and what a terminal would obey is shown."""
    return "" if value is None else printable(" ".join(str(value).split()))
