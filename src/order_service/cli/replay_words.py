"""What `orders replay` says: what it would do, what came of it, and what to type where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
import msgspec

from order_service.cli.output import print_json_lines, print_rows
from projections.projection import Projection
from projections.rebuild import Rebuilt
from projections.registry import PROJECTIONS
from projections.survey import Survey, TableSet

REPLAY, ROLLBACK, AS_OF, DROP_AS_OF = "replay", "rollback", "as-of", "drop-as-of"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`as_of` is a position of the log."""

    action: str
    projections: Sequence[Projection]
    as_of: int = 0
    fast: bool
    as_json: bool


def command_for(asked: Asked, names: Sequence[str]) -> str:
    """What to type for the same with these projections."""
    options = {ROLLBACK: ["--rollback"], AS_OF: [f"--as-of {asked.as_of}"], DROP_AS_OF: ["--drop-as-of"]}
    chosen = [] if len(names) == len(PROJECTIONS) else [f"--projection {name}" for name in names]
    words = ["orders replay", *options.get(asked.action, []), *chosen]
    return f"`{' '.join(words)}`"


def show_plan(asked: Asked, surveys: Sequence[Survey], head: int) -> None:
    plans = [_plan(asked, one, head) for one in surveys]
    if asked.as_json:
        print_json_lines({"type": "plan", "action": asked.action, **plan} for plan in plans)
        return
    print_rows([name.replace("_", " ") for name in plans[0]], [_cells(plan) for plan in plans])


def _plan(asked: Asked, one: Survey, head: int) -> dict[str, Any]:
    """`dropped` are the schemas that would go."""
    gone: TableSet | None = None
    match asked.action:
        case "rollback":
            begins, ends = (one.kept.position if one.kept else None), head
            would = "be put back" if begins is not None else "stay: nothing whole of this release is kept"
        case "as-of":
            begins, ends, gone, would = 0, asked.as_of, one.as_of, "be filled beside the live ones"
        case "drop-as-of":
            begins, ends, gone, would = None, head, one.as_of, "go" if one.as_of else "stay: there are none"
        case _:
            begins, ends, gone, would = one.filled_from, head, one.kept, "be rebuilt and swapped in"
    return {
        "projection": one.projection,
        "tables_would": would,
        "events": None if begins is None else max(0, ends - begins),
        "after": begins,
        "live_at": one.position,
        "log_at": head,
        "generation": one.generation,
        "live_mb": _megabytes(one.live),
        "dropped": [gone.schema] if gone else [],
        "dropped_mb": _megabytes(gone),
    }


def _cells(plan: Mapping[str, Any]) -> list[Any]:
    return [", ".join(value) if isinstance(value, list) else value for value in plan.values()]


def _megabytes(tables: TableSet | None) -> float:
    return round(tables.size_bytes / 1024**2, 1) if tables else 0.0


def show_results(asked: Asked, results: Sequence[Rebuilt]) -> None:
    for result in results:
        if asked.as_json:
            print_json_lines([{"type": "done", "action": asked.action, **msgspec.to_builtins(result)}])
            continue
        for line in _as_of_lines(result) if asked.action == AS_OF else _swap_lines(result):
            click.echo(line)
    if asked.action == DROP_AS_OF and not asked.as_json:
        click.echo("the tables as of a position are gone")


def warn_of_differences(results: Sequence[Rebuilt]) -> None:
    """On stderr."""
    for result in results:
        for warning in _warnings(result):
            click.echo(f"warning: {warning}", err=True)


def _warnings(result: Rebuilt) -> Iterator[str]:
    if result.comparison is None or result.comparison.equal is not False:
        return
    found = ", ".join(
        f"{one.table} (live {one.live_rows} rows, rebuilt {one.rebuilt_rows})" for one in result.comparison.differences
    )
    yield (
        f"{result.projection}: the live tables were not what the log says at position {result.comparison.position}:"
        f" {found}. The rebuilt ones are live now; the others are in {result.kept} until the next replay"
    )


def _swap_lines(result: Rebuilt) -> Iterator[str]:
    done = f"{result.events:,} events in {result.took_s:.1f} s"
    yield f"{result.projection}: live at position {result.position:,}, generation {result.generation} ({done})"
    comparison = result.comparison
    if comparison is not None and comparison.equal:
        yield f"  equal to the tables before, at position {comparison.position:,}; digest {result.digest}"
    elif comparison is not None and comparison.equal is None:
        yield f"  not compared: {comparison.reason}"
    if result.kept:
        yield f"  replaced tables: {result.kept}; back with `orders replay --rollback --projection {result.projection}`"


def _as_of_lines(result: Rebuilt) -> Iterator[str]:
    yield f"{result.projection}: as of position {result.position:,} in {result.schema}, digest {result.digest}"
    for table in result.tables:
        yield f"  select * from {result.schema}.{table.name}  -- {table.rows:,} rows"
