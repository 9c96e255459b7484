"""What commands print: tables and colour on a terminal only (NO_COLOR obeyed), tab-separated lines otherwise, JSON on
`--json`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_json_line(value: bytes | str) -> None:
    click.echo(value)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    if not sys.stdout.isatty():
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(_text(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, header_style="bold", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    Console().print(table)


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    shown = [(name, _text(value)) for name, value in fields]
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), dim=sys.stdout.isatty())}  {value}")


def _text(value: Any) -> str:
    return "" if value is None else str(value)
