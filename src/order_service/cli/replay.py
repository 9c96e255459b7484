"""replay: the query tables made anew from the log, compared with the live ones, and put in their place."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import click
import msgspec
import psycopg

from order_service.cli.output import JSON_OPTION, print_json_lines, print_rows
from order_service.cli.replay_progress import Display, display
from order_service.database import Database, database_for_a_while
from order_service.errors import (
    ConflictError,
    NotFoundError,
    ServiceError,
    UnreachableError,
    WrongRequestError,
)
from order_service.priority import lower_priority
from order_service.settings import load_settings
from orders.eventstore.connections import connect
from orders.eventstore.port import EventStoreError, StoreUnavailable
from orders.eventstore.postgres import PostgresEventStore
from projections.errors import KeptForeign, NothingKept, ProjectionError, RebuildError, RebuildStopped
from projections.filling import FAST, POLITE
from projections.projection import Projection
from projections.rebuild import SWAPPING, Progress, Rebuild, Rebuilt, rebuilding
from projections.registry import PROJECTIONS
from projections.survey import Survey, TableSet, survey

_REPLAY, _ROLLBACK, _AS_OF, _DROP_AS_OF = "replay", "rollback", "as-of", "drop-as-of"


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    action: str
    projections: Sequence[Projection]
    as_of: int = 0
    fast: bool
    as_json: bool


@click.command()
@click.option(
    "--projection", "names", metavar="NAME", multiple=True, help="Only this one; may be given again. All without it."
)
@click.option("--as-of", type=click.IntRange(0), metavar="POSITION", help="Fill tables as they were, beside the live.")
@click.option("--drop-as-of", is_flag=True, help="Remove what --as-of has filled.")
@click.option("--rollback", is_flag=True, help="Put back the tables that the last replay replaced.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--fast", is_flag=True, help="Without pauses: sooner done, at the cost of queries meanwhile.")
@click.option("--yes", is_flag=True, help="On a terminal, do not ask before tables go that an earlier replay has kept.")
@JSON_OPTION
def replay(
    names: tuple[str, ...],
    as_of: int | None,
    drop_as_of: bool,
    rollback: bool,
    dry_run: bool,
    fast: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Rebuild the query tables from the log, beside the live ones, and put them in their place.

    The live tables go on serving and following meanwhile. Both are compared at one position; where they differ, that is
    said, and the rebuilt ones are taken, since the log is the truth. The replaced tables are kept for --rollback until
    the next replay. Interrupted, it has changed nothing, and the next replay goes on where it was.
    """
    if [as_of is not None, drop_as_of, rollback].count(True) > 1:
        raise click.UsageError("--as-of, --drop-as-of and --rollback exclude each other")
    action = _AS_OF if as_of is not None else _DROP_AS_OF if drop_as_of else _ROLLBACK if rollback else _REPLAY
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    asked = _Asked(action=action, projections=_chosen(names), as_of=as_of or 0, fast=fast, as_json=as_json)
    with database_for_a_while(load_settings()) as where, _translated():
        store = PostgresEventStore(where.url, direct_url=where.direct_url, application_name="orders replay")
        try:
            _run(asked, where, store, dry_run=dry_run, yes=yes)
        finally:
            store.close()


def _chosen(names: tuple[str, ...]) -> Sequence[Projection]:
    known = {projection.name: projection for projection in PROJECTIONS}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"{name} is not one of {', '.join(known)}", param_hint="--projection")
    return [known[name] for name in dict.fromkeys(names)] or PROJECTIONS


def _run(asked: _Asked, where: Database, store: PostgresEventStore, *, dry_run: bool, yes: bool) -> None:
    with connect(where.direct_url, application_name="orders replay") as connection:
        surveys = [survey(connection, projection) for projection in asked.projections]
    head = store.head()
    if asked.as_of > head:
        raise WrongRequestError(f"position {asked.as_of} is beyond the log's last position {head}")
    if dry_run:
        _show_plan(asked, surveys, head)
        return
    if asked.action == _REPLAY and not yes:
        _confirm([one.projection for one in surveys if one.kept])
    if not asked.fast:
        lower_priority()
    results: list[Rebuilt] = []
    try:
        with display(asked.as_json) as shown:
            for projection in asked.projections:
                results.extend(_one(asked, projection, where, store, shown))
    finally:  # what was done before another one failed
        _show_results(asked, results)


def _confirm(kept: Sequence[str]) -> None:
    """Asks who sits at a terminal. A script goes on: what goes can be made again from the log."""
    if kept and at_terminal():
        question = f"the tables that an earlier replay has kept go: {', '.join(kept)}. Go on?"
        click.confirm(question, default=True, abort=True, err=True)


def at_terminal() -> bool:
    return sys.stdin.isatty()


def _one(
    asked: _Asked, projection: Projection, where: Database, store: PostgresEventStore, shown: Display
) -> list[Rebuilt]:
    last: list[Progress] = []
    stop = Event()
    pace = FAST if asked.fast else POLITE

    def told(progress: Progress) -> None:
        last[:] = [progress]
        shown.show(progress)

    with (
        _naming(projection, last),
        _interruptible(last, stop),
        rebuilding(projection, store, where.direct_url, stop=stop, told=told, pace=pace) as rebuild,
    ):
        return _act(asked, rebuild)


def _act(asked: _Asked, rebuild: Rebuild) -> list[Rebuilt]:
    match asked.action:
        case "rollback":
            return [rebuild.roll_back()]
        case "as-of":
            return [rebuild.fill_as_of(asked.as_of)]
        case "drop-as-of":
            rebuild.drop_as_of()
            return []
        case _:
            return [rebuild.replay()]


@contextmanager
def _interruptible(last: Sequence[Progress], stop: Event) -> Iterator[None]:
    """Ctrl-C ends it at once; a swap only between two attempts, so that what came of it is known."""

    def interrupt(number: int, frame: Any) -> None:
        stop.set()
        if not (last and last[0].phase == SWAPPING):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _naming(projection: Projection, last: Sequence[Progress]) -> Iterator[None]:
    """What goes wrong, with the projection, and with what that means for its tables."""
    try:
        yield
    except (KeyboardInterrupt, RebuildStopped):
        raise ServiceError(f"{projection.name}: stopped. {_left(projection, last)}") from None
    except (ProjectionError, EventStoreError, psycopg.Error) as error:
        raise _error(error, f"{projection.name}: {_line(error)}. {_left(projection, last)}") from error


def _left(projection: Projection, last: Sequence[Progress]) -> str:
    at = f"; it goes on after position {last[0].position}" if last and last[0].position else ""
    return f"The live tables are as they were. Again: `orders replay --projection {projection.name}`{at}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise ServiceError("stopped. The live tables are as they were") from None
    except (RebuildError, EventStoreError, psycopg.Error) as error:
        raise _error(error, _line(error)) from error


def _error(error: Exception, text: str) -> ServiceError:
    match error:
        case NothingKept():
            return NotFoundError(text)
        case KeptForeign() | RebuildError():
            return ConflictError(text)
        case psycopg.errors.UndefinedTable() | psycopg.errors.InvalidSchemaName():
            return ServiceError(f"{text} (is the schema up to date? `orders migrate`)")
        case psycopg.errors.DiskFull():
            return ServiceError(f"{text} (make room on the database's disk)")
        case StoreUnavailable() | psycopg.OperationalError():
            return UnreachableError(text)
        case _:
            return ServiceError(text)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _show_plan(asked: _Asked, surveys: Sequence[Survey], head: int) -> None:
    plans = [_plan(asked, one, head) for one in surveys]
    if asked.as_json:
        print_json_lines({"type": "plan", "action": asked.action, **plan} for plan in plans)
        return
    print_rows(list(plans[0]), [list(plan.values()) for plan in plans])


def _plan(asked: _Asked, one: Survey, head: int) -> dict[str, Any]:
    """What would be done, in the words of the table that shows it."""
    match asked.action:
        case "rollback":
            begins, ends, gone = (one.kept.position if one.kept else None), head, ""
            would = "be put back" if one.kept and one.kept.ours else "stay: nothing of this release is kept"
        case "as-of":
            begins, ends, gone, would = 0, asked.as_of, _gone(one.as_of), "be filled beside the live ones"
        case "drop-as-of":
            begins, ends, gone, would = None, head, _gone(one.as_of), "go" if one.as_of else "stay: there are none"
        case _:
            begins, ends, gone, would = one.filled_from, head, _gone(one.kept), "be rebuilt and swapped in"
    return {
        "projection": one.projection,
        "tables would": would,
        "events": None if begins is None else max(0, ends - begins),
        "after": begins,
        "live at": one.position,
        "log at": head,
        "generation": one.generation,
        "live MB": _megabytes(one.live),
        "dropped": gone,
    }


def _gone(tables: TableSet | None) -> str:
    return f"{tables.schema} ({_megabytes(tables)} MB)" if tables else ""


def _megabytes(tables: TableSet | None) -> float:
    return round(tables.size_bytes / 1024**2, 1) if tables else 0.0


def _show_results(asked: _Asked, results: Sequence[Rebuilt]) -> None:
    for result in results:
        for warning in _warnings(result):
            click.echo(f"warning: {warning}", err=True)
        if asked.as_json:
            print_json_lines([{"type": "done", "action": asked.action, **msgspec.to_builtins(result)}])
            continue
        for line in _as_of_lines(result) if asked.action == _AS_OF else _swap_lines(result):
            click.echo(line)
    if asked.action == _DROP_AS_OF and not asked.as_json:
        click.echo("the tables as of a position are gone")


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


commands = {"replay": replay}
