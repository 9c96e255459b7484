"""verify: whether the log is as it was written, and the query tables as the log says."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from order_service.cli.output import JSON_OPTION, print_json, print_rows
from order_service.cli.program import DONE, FAILED, UNREACHABLE, end_with
from order_service.configuration.settings import load_settings
from order_service.errors import ConflictError, MigrationError, ServiceError, UnreachableError, WrongRequestError

if TYPE_CHECKING:
    from order_service.cli.verify_progress import CheckProgress
    from order_service.database import Database
    from orders.hash_chain import ChainHead
    from orders.log_check.check import LogReport
    from projections.projection import Projection
    from projections.verification import Verification, Verified

_RESTORE = "the log cannot be mended: keep this database as it is, and restore a backup; docs/how-to/audit-the-log.md"
_LOOK = "see the log of `orders projector`, or start it; where the chain was removed: docs/how-to/audit-the-log.md"
_LOG_TO_DO = {
    "chain_behind": _LOOK,
    "chain_stopped": "remove the cause, and it goes on by itself; the log of `orders projector` tells more",
    "unknown_event": "start the release that wrote it, or a newer one",
    "other_chain": "compare with other heads that were noted, and with a backup; docs/how-to/audit-the-log.md",
}
_REPLAY = "`orders replay --projection {name}` makes them anew"
_ROWS_TO_DO = {
    "foreign_tables": "`orders replay --projection {name}` of this release puts its own in their place, without a gap",
    "missing_tables": "start `orders projector`, which makes them",
    "cannot_fold": "see what is wrong with the log first: `orders verify --log-only`; where it is well: " + _REPLAY,
    "not_compared": "then again: `orders verify --projection {name}`",
}
_CHAIN = {"broken_link", "cut_chain", "other_chain", "chain_behind", "chain_stopped"}

_Row = tuple[str, str, str, str]


@click.command()
@click.option("--projection", "names", multiple=True, metavar="NAME", help="Only this one's tables; may be repeated.")
@click.option("--log-only", is_flag=True, help="Only the log and its hash chain.")
@click.option("--chain-head", metavar="POSITION:HASH", help="A head of the chain that was noted outside the database.")
@JSON_OPTION
def verify(names: Sequence[str], log_only: bool, chain_head: str | None, as_json: bool) -> None:
    """Check the log, and compare the live query tables with a fresh fold of it.

    Exit code 0: all is well; 1: something differs, and the first order, column and event that do are named. It changes
    nothing, and everything goes on meanwhile. Starts the embedded database for its time, if it does not run. Exit code
    5: the database did not answer, or not to all of it; what was found until then is printed.

    A cut of the log together with its hash chain shows only beside a head of the chain that was noted elsewhere: the
    projector puts it into its log output, and this command prints it.
    """
    from order_service.database import database_for_a_while

    if names and (log_only or chain_head):
        raise click.UsageError("--projection leaves the log out, and goes neither with --log-only nor --chain-head")
    projections = [] if log_only else _projections(names)
    noted = _noted(chain_head)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    with (
        database_for_a_while(load_settings()) as database,
        _readable(database),
        _progress() as progress,
        _comparing(database, progress, projections) as verification,
    ):
        log = None if names else _check_log(database, progress, noted)
        verified = [verification.verify(projection) for projection in projections] if verification else []
    code = _verdict(log, verified)
    end_with(code)
    if as_json:
        print_json({"well": code == DONE, "log": log and _log_fields(log), "projections": verified})
    else:
        print_rows(("check", "state", "found", "what to do"), _shown(log, verified), colour_of=_colour)
    sys.exit(code)


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


@contextmanager
def _comparing(
    database: Database, progress: CheckProgress, projections: Sequence[Projection]
) -> Iterator[Verification | None]:
    """The right to compare is got first: who has to wait for another one hears so before the log was read."""
    from orders.eventstore.postgres import PostgresEventStore
    from projections.verification import verifying

    if not projections:
        yield None
        return
    store = PostgresEventStore(database.url, direct_url=database.direct_url, application_name="orders verify")
    try:
        with verifying(database.direct_url, store, progress) as verification:
            yield verification
    finally:
        store.close()


def _verdict(log: LogReport | None, verified: Sequence[Verified]) -> int:
    """That something differs is said before that something could not be looked at."""
    unchecked = [found for one in verified for found in one.findings if found.what == "not_compared"]
    number = sum(one.number for one in verified) - len(unchecked) + (log.number if log else 0)
    if number:
        return FAILED
    return UNREACHABLE if unchecked or (log and log.unread) else DONE


def _log_fields(log: LogReport) -> dict[str, Any]:
    chain = {"state": _chain_state(log), "position": log.chain.position, "hash": log.chain.hash.hex()}
    fields = {"events": log.events, "streams": log.streams, "chain": {**chain, "uncovered": log.uncovered}}
    return {**fields, "findings": log.findings, "number": log.number, "unread": log.unread}


def _chain_state(log: LogReport) -> str:
    """`behind`: what is not covered is no more than what a chain that is kept, or was until a while ago, leaves."""
    if any(finding.what in _CHAIN for finding in log.findings):
        return "wrong"
    if log.unread is not None:
        return "unchecked"
    return "behind" if log.uncovered else "well"


def _shown(log: LogReport | None, verified: Sequence[Verified]) -> Iterator[_Row]:
    if log is not None:
        yield from _shown_log(log)
    for one in verified:
        check = f"projection {one.projection}"
        if not one.number:
            yield check, "well", f"{one.rows} rows are those of a fresh fold up to position {one.position}", ""
        for found in one.findings:
            state = "unchecked" if found.what == "not_compared" else "wrong"
            yield check, state, found.text, _ROWS_TO_DO.get(found.what, _REPLAY).format(name=one.projection)
        yield from _more(check, one.number - len(one.findings))


def _shown_log(log: LogReport) -> Iterator[_Row]:
    of_chain = [finding for finding in log.findings if finding.what in _CHAIN]
    if log.number == len(of_chain) and log.unread is None:
        yield "log", "well", f"{log.events} events in {log.streams} streams, without a hole", ""
    for finding in log.findings:
        if finding not in of_chain:
            yield "log", "wrong", finding.text, _LOG_TO_DO.get(finding.what, _RESTORE)
    yield from _more("log", log.number - len(log.findings))
    if log.unread is not None:
        yield "log", "unchecked", f"not all of it could be read: {log.unread}", "then again: `orders verify --log-only`"
    for finding in of_chain:
        yield "hash chain", "wrong", finding.text, _LOG_TO_DO.get(finding.what, _RESTORE)
    if log.unread is not None and not log.chain.position:
        return
    reach = f"covers positions 1 to {log.chain.position}" if log.chain.position else "covers nothing yet"
    head = f"; head {log.chain}" if log.chain.position else ""
    state = _chain_state(log)
    to_do = "wait a second, or start `orders projector`, which keeps it" if state == "behind" else ""
    yield "hash chain", state, f"{reach}, {log.uncovered} events are not covered yet{head}", to_do


def _more(check: str, number: int) -> Iterator[_Row]:
    if number:
        yield check, "wrong", f"and {number} more", ""


def _colour(row: Sequence[str]) -> str:
    return {"wrong": "red", "unchecked": "yellow", "behind": "yellow"}.get(row[1], "")


commands = {"verify": verify}
