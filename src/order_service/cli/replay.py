"""replay: the query tables made anew from the log, compared with the live ones, and put in their place."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from order_service.cli.output import JSON_OPTION, while_it_is_read
from order_service.cli.replay_progress import display
from order_service.cli.replay_words import (
    AS_OF,
    DROP_AS_OF,
    REPLAY,
    ROLLBACK,
    Asked,
    command_for,
    show_plan,
    show_results,
    warn_of_differences,
)
from order_service.cli.replay_work import Work, one_line, translated, translating
from order_service.configuration.settings import load_settings
from order_service.database import Database, database_for_a_while
from order_service.errors import WrongRequestError
from order_service.processes.parts import collect_rarely
from order_service.processes.priority import lower_priority
from orders.eventstore.connections import connect
from orders.eventstore.postgres import PostgresEventStore
from projections.errors import KeptForeign, NothingKept, RebuildError
from projections.projection import Projection
from projections.registry import PROJECTIONS
from projections.survey import Survey, survey


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
    the next replay. Interrupted before that, it has changed nothing, and the next replay goes on where it was.
    """
    if [as_of is not None, drop_as_of, rollback].count(True) > 1:
        raise click.UsageError("--as-of, --drop-as-of and --rollback exclude each other")
    action = AS_OF if as_of is not None else DROP_AS_OF if drop_as_of else ROLLBACK if rollback else REPLAY
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    asked = Asked(action=action, projections=_chosen(names), as_of=as_of or 0, fast=fast, as_json=as_json)
    with database_for_a_while(load_settings()) as where, translating():
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


def _run(asked: Asked, where: Database, store: PostgresEventStore, *, dry_run: bool, yes: bool) -> None:
    with connect(where.direct_url, application_name="orders replay") as connection:
        surveys = [survey(connection, projection) for projection in asked.projections]
    head = store.head()
    if asked.as_of > head:
        raise WrongRequestError(f"position {asked.as_of} is beyond the log's last position {head}")
    if dry_run:
        show_plan(asked, surveys, head)
        return
    if asked.action == ROLLBACK:
        _check_kept(asked, surveys)
    if asked.action == REPLAY and not yes:
        _confirm([one.projection for one in surveys if one.kept])
    if not asked.fast:
        lower_priority()
    collect_rarely()
    generations = {one.projection: one.generation for one in surveys}
    work = Work(asked, where, store, generations)
    try:
        with display(asked.as_json) as shown:
            work.run(shown)
    finally:  # what was done before another one failed
        with while_it_is_read(sys.stderr):
            warn_of_differences(work.results)
        with while_it_is_read(sys.stdout):
            show_results(asked, work.results)


def _check_kept(asked: Asked, surveys: Sequence[Survey]) -> None:
    """All come back, or none: those that did would go again with the next try. Raises NotFoundError, ConflictError."""
    kept = [one.projection for one in surveys if one.kept and one.kept.position is not None]
    refusals = [_refusal(one) for one in surveys if one.projection not in kept]
    if not refusals:
        return
    text = "; ".join(one_line(refusal) for refusal in refusals)
    if kept:
        text += f". Nothing was put back; {command_for(asked, kept)} does so with what is kept"
    raise translated(refusals[0], text)


def _refusal(one: Survey) -> RebuildError:
    if one.kept is None:
        return NothingKept(one.projection)
    return KeptForeign(one.projection) if one.kept.lack is None else RebuildError(one.kept.lack)


def _confirm(kept: Sequence[str]) -> None:
    """Asks who sits at a terminal. A script goes on: what goes can be made again from the log."""
    if kept and at_terminal():
        question = f"the tables that an earlier replay has kept go: {', '.join(kept)}. Go on?"
        click.confirm(question, default=True, abort=True, err=True)


def at_terminal() -> bool:
    return sys.stdin.isatty()


commands = {"replay": replay}
