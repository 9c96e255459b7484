"""verify: whether the log is as it was written, and the query tables as the log says."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from order_service.cli.output import JSON_OPTION, print_json, print_rows
from order_service.cli.program import DONE, FAILED
from order_service.errors import ConflictError, MigrationError, ServiceError, UnreachableError, WrongRequestError
from order_service.settings import load_settings

if TYPE_CHECKING:
    from order_service.cli.verify_progress import CheckProgress
    from order_service.database import Database
    from orders.hash_chain import ChainHead
    from orders.log_check.check import LogReport
    from projections.projection import Projection
    from projections.verification import Verified

_RESTORE = "the log cannot be mended: keep this database as it is, and restore a backup; docs/how-to/audit-the-log.md"
_LOG_TO_DO = {
    "unknown_event": "start the release that wrote it, or a newer one",
    "other_chain": "compare with other heads that were noted, and with a backup; docs/how-to/audit-the-log.md",
}
_ROWS_TO_DO = {
    "missing_tables": "start `orders projector`, which makes them",
    "foreign_tables": "start this release's `orders projector`, which makes its own",
    "cannot_fold": "see what is wrong with the log first: `orders verify --log-only`",
}

_Row = tuple[str, str, str, str]


@click.command()
@click.option("--projection", "names", multiple=True, metavar="NAME", help="Only this one's tables; may be repeated.")
@click.option("--log-only", is_flag=True, help="Only the log and its hash chain.")
@click.option("--chain-head", metavar="POSITION:HASH", help="A head of the chain that was noted outside the database.")
@JSON_OPTION
def verify(names: Sequence[str], log_only: bool, chain_head: str | None, as_json: bool) -> None:
    """Check the log, and compare the live query tables with a fresh fold of it.

    Exit code 0: all is well; 1: something differs, and the first order, column and event that do are named. It changes
    nothing, and everything goes on meanwhile. Starts the embedded database for its time, if it does not run.

    A cut of the log together with its hash chain shows only beside a head of the chain that was noted elsewhere: the
    projector puts it into its log output, and this command prints it.
    """
    from order_service.database import database_for_a_while

    if names and (log_only or chain_head):
        raise click.UsageError("--projection leaves the log out, and goes neither with --log-only nor --chain-head")
    projections = [] if log_only else _projections(names)
    noted = _noted(chain_head)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    with database_for_a_while(load_settings()) as database, _readable(database), _progress() as progress:
        log = None if names else _check_log(database, progress, noted)
        verified = _compare(database, progress, projections)
    wrong = [one for one in (log, *verified) if one is not None and one.number]
    if as_json:
        print_json({"well": not wrong, "log": log and _log_fields(log), "projections": verified})
    else:
        print_rows(("check", "state", "found", "what to do"), _shown(log, verified), colour_of=_colour)
    sys.exit(FAILED if wrong else DONE)


def _projections(names: Sequence[str]) -> list[Projection]:
    from projections.registry import PROJECTIONS

    by_name = {projection.name: projection for projection in PROJECTIONS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise WrongRequestError(f"there is no projection {unknown[0]!r}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in dict.fromkeys(names or by_name)]


def _noted(text: str | None) -> ChainHead | None:
    from orders.hash_chain import parse_head

    try:
        return None if text is None else parse_head(text)
    except ValueError as error:
        raise WrongRequestError(
            "--chain-head takes what was noted, like 1200:3f…: a position, 64 hex digits"
        ) from error


@contextmanager
def _readable(database: Database) -> Iterator[None]:
    """What goes wrong in the block, in a person's words. First, whether the schema is this release's."""
    import psycopg

    from order_service.migrations import pending
    from orders.eventstore.port import EventStoreError
    from projections.errors import RebuildError, VerifyRunning

    if names := pending(database.direct_url):
        raise MigrationError(f"the schema is not up to date ({', '.join(names)}): run `orders migrate`")
    try:
        yield
    except VerifyRunning as error:
        raise ConflictError(str(error)) from error
    except RebuildError as error:
        raise ServiceError(str(error)) from error
    except (psycopg.OperationalError, EventStoreError) as error:
        raise UnreachableError(f"the database does not answer: {' '.join(str(error).split())}") from error
    except psycopg.Error as error:
        raise ServiceError(f"the database refuses the check: {' '.join(str(error).split())}") from error


@contextmanager
def _progress() -> Iterator[CheckProgress]:
    from order_service.cli.verify_progress import CheckProgress

    with CheckProgress() as progress:
        yield progress


def _check_log(database: Database, progress: CheckProgress, noted: ChainHead | None) -> LogReport:
    from orders.log_check.check import check_log

    return check_log(database.direct_url, progress, noted=noted)


def _compare(database: Database, progress: CheckProgress, projections: Sequence[Projection]) -> list[Verified]:
    from orders.eventstore.postgres import PostgresEventStore
    from projections.verification import verifying

    if not projections:
        return []
    store = PostgresEventStore(database.url, direct_url=database.direct_url, application_name="orders verify")
    try:
        with verifying(database.direct_url, store, progress) as verification:
            return [verification.verify(projection) for projection in projections]
    finally:
        store.close()


def _log_fields(log: LogReport) -> dict[str, Any]:
    chain = {"position": log.chain.position, "hash": log.chain.hash.hex(), "uncovered": log.uncovered}
    fields = {"events": log.events, "streams": log.streams, "chain": chain}
    return {**fields, "findings": log.findings, "number": log.number}


def _shown(log: LogReport | None, verified: Sequence[Verified]) -> Iterator[_Row]:
    if log is not None:
        if not log.number:
            yield "log", "well", f"{log.events} events in {log.streams} streams, without a hole", ""
        for finding in log.findings:
            yield "log", "wrong", finding.text, _LOG_TO_DO.get(finding.what, _RESTORE)
        yield from _more("log", log.number - len(log.findings))
        reach = f"covers positions 1 to {log.chain.position}" if log.chain.position else "covers nothing yet"
        head = f"; head {log.chain}" if log.chain.position else ""
        yield "hash chain", "", f"{reach}, {log.uncovered} events are not covered yet{head}", ""
    for one in verified:
        check = f"projection {one.projection}"
        if not one.number:
            yield check, "well", f"{one.rows} rows are those of a fresh fold up to position {one.position}", ""
        for found in one.findings:
            to_do = _ROWS_TO_DO.get(found.what, f"`orders replay --projection {one.projection}` makes them anew")
            yield check, "wrong", found.text, to_do
        yield from _more(check, one.number - len(one.findings))


def _more(check: str, number: int) -> Iterator[_Row]:
    if number:
        yield check, "wrong", f"and {number} more", ""


def _colour(row: Sequence[str]) -> str:
    return "red" if row[1] == "wrong" else ""


commands = {"verify": verify}
