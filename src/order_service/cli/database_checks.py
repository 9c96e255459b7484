"""What `orders doctor` asks the database: server, schema, followers of the log, hash chain, adapters, orders held up,
alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from exchange_adapter.bounds import WORKER_SEEN_S
from order_service.bounds import DOCTOR_CHECK_S, OLDEST_POSTGRESQL, READY_LAG_EVENTS
from order_service.cli.findings import Finding
from order_service.configuration.settings import Settings
from order_service.database import database
from order_service.database_roles import danger_to_the_log
from order_service.errors import EmbeddedPostgresError, MigrationError, UnreachableError
from order_service.migrations import pending
from order_service.monitoring.followers import followers, part_of
from orders.eventstore.sql import load
from projections.registry import PROJECTIONS
from projections.survey import survey

Connection = psycopg.Connection[Any]

_SQL = load("order_service.cli", "database_checks.sql")
_BESIDE = "_shadow: `orders replay` goes on; _old: for `--rollback`; _as_of: `orders replay --drop-as-of` removes it"
_MS = str(round(DOCTOR_CHECK_S * 1000 / 2))


def check_database(settings: Settings) -> Iterator[Finding]:
    try:
        where = database(settings)
        connection = psycopg.connect(where.direct_url, autocommit=True, connect_timeout=max(2, int(DOCTOR_CHECK_S / 2)))
    except (UnreachableError, EmbeddedPostgresError) as error:
        yield Finding("database", "unreachable", str(error))
        return
    except psycopg.Error as error:
        yield Finding("database", "unreachable", _line(error), "start that server, or correct DATABASE_URL")
        return
    with connection:
        connection.execute(_SQL["bound"], {"ms": _MS})
        yield from _guarded("database", lambda: _server(connection))
        yield _schema(where.direct_url)
        yield from _guarded("database role", lambda: _role(connection))
        yield from _guarded("followers", lambda: _followers(connection, settings))
        yield from _guarded("hash chain", lambda: _hash_chain(connection))
        yield from _guarded("table sets", lambda: _table_sets(connection))
        yield from _guarded("adapters", lambda: _adapters(connection))
        yield from _guarded("orders", lambda: _held_up(connection))
        yield from _guarded("alerts", lambda: _alerts(connection))


def _guarded(check: str, ask: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return ask()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction):
        return [Finding(check, "unknown", "the tables are not there yet", "run `orders migrate`")]
    except psycopg.errors.InsufficientPrivilege as error:
        return [Finding(check, "wrong", _line(error), "run `orders migrate`, which gives the role its rights")]
    except psycopg.Error as error:
        return [Finding(check, "unreachable", _line(error), "look into the database's log")]


def _server(connection: Connection) -> list[Finding]:
    number, version, fsync, standby = connection.execute(_SQL["server"]).fetchall()[0]
    if number < OLDEST_POSTGRESQL * 10_000:
        return [Finding("database", "wrong", f"PostgreSQL {version}", f"use PostgreSQL {OLDEST_POSTGRESQL} or newer")]
    if (refused := _refused_write(connection)) is not None:
        return [_no_writes(version, refused, standby=standby)]
    if fsync != "on":
        words = f"PostgreSQL {version} with fsync off: a power cut may lose what was accepted"
        return [Finding("database", "wrong", words, "turn fsync on in postgresql.conf")]
    return [Finding("database", "well", f"PostgreSQL {version}")]


def _refused_write(connection: Connection) -> psycopg.Error | None:
    """Why it takes no writes. A role that may not try learns nothing."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(_SQL["try_to_write"])
    except psycopg.errors.InsufficientPrivilege:
        return None
    except psycopg.Error as error:
        return error
    return None


def _no_writes(version: str, refused: psycopg.Error, *, standby: bool) -> Finding:
    if standby:
        to_do = "it is a standby: let DATABASE_URL name the primary, or promote it"
    elif isinstance(refused, psycopg.errors.ReadOnlySqlTransaction):
        to_do = "find out who set default_transaction_read_only, and why; orders are taken once it is reset"
    elif isinstance(refused, psycopg.errors.DiskFull):
        to_do = "make room on the disk of the database"
    else:
        to_do = "look into the database's log"
    return Finding("database", "wrong", f"PostgreSQL {version} takes no writes: {_first_line(refused)}", to_do)


def _schema(direct_url: str) -> Finding:
    try:
        names = pending(direct_url)
    except MigrationError as error:
        return Finding("schema", "wrong", str(error))
    except UnreachableError as error:
        return Finding("schema", "unreachable", str(error), "look into the database's log")
    if names:
        return Finding("schema", "wrong", f"not applied: {', '.join(names)}", "run `orders migrate`")
    return Finding("schema", "well", "up to date")


def _role(connection: Connection) -> list[Finding]:
    role, danger = danger_to_the_log(connection)
    if not danger:
        return [Finding("database role", "well", f"{role} may append to the log, and change nothing in it")]
    to_do = "give DATABASE_URL a role of its own, DATABASE_OWNER_URL the owner: docs/how-to/separate-database-roles.md"
    return [Finding("database role", "well" if danger.startswith("owns") else "wrong", f"{role} {danger}", to_do)]


def _followers(connection: Connection, settings: Settings) -> list[Finding]:
    """Who keeps the query tables and the adapter's duties, and who publishes, and how far that is."""
    rows = connection.execute(_SQL["followers"], {"names": followers(settings)}).fetchall()
    return [_follower(*row[:4]) if row[4] is None else _failed(*row) for row in rows]


def _failed(name: str, position: int | None, head: int, held: bool, failed_at: int, reason: str, since: str) -> Finding:
    """It tries again and again: nothing is skipped, and nothing needs to be started once the cause is gone."""
    part = part_of(name)
    found = f"at position {position or 0} of {head}; stopped at {failed_at} since {since}: {reason}"
    to_do = f"remove the cause, and it goes on by itself; the log of `orders {part}` tells more"
    if not held:
        to_do = f"nobody follows: {_start(part)}"
    return Finding(f"follower {name}", "wrong", found, to_do)


def _follower(name: str, position: int | None, head: int, held: bool) -> Finding:
    check = f"follower {name}"
    part = part_of(name)
    if position is None:
        return Finding(check, "wrong", "has never run", _start(part))
    found = f"at position {position} of {head}"
    if not held:
        return Finding(check, "wrong", f"{found}; nobody follows", _start(part))
    if head - position > READY_LAG_EVENTS:
        return Finding(check, "wrong", found, f"wait, or look into the log of `orders {part}` if it does not move")
    return Finding(check, "well", f"{found}; followed")


def _start(part: str) -> str:
    """Who cannot write, gives its place up and says why in its log alone."""
    return f"start `orders {part}`, or all with `orders up`; or see its log where it runs: it may fail again and again"


def _hash_chain(connection: Connection) -> list[Finding]:
    """How far it reaches; whoever keeps it is one of the followers."""
    position, digest, head = connection.execute(_SQL["hash_chain"]).fetchall()[0]
    if position > head:
        found = f"it knows {position} events, and the log has {head}: its end is missing"
        return [Finding("hash chain", "wrong", found, "`orders verify` says more; docs/how-to/audit-the-log.md")]
    covered = f"covers {position} of {head} events"
    return [Finding("hash chain", "well", f"{covered}; head {position}:{digest.hex()}" if position else covered)]


def _table_sets(connection: Connection) -> list[Finding]:
    """Live query tables that are not whole, and what takes room beside them, with which nothing is wrong."""
    surveys = [survey(connection, projection) for projection in PROJECTIONS]
    findings = [
        Finding("table sets", "wrong", one.live.lack, f"`orders replay --projection {one.projection}` makes them anew")
        for one in surveys
        if one.live and one.live.lack
    ]
    beside = [tables for one in surveys for tables in (one.as_of, one.kept, one.shadow) if tables]
    if beside:
        found = ", ".join(f"{tables.schema} {tables.size_bytes / 1024**2:.1f} MB" for tables in beside)
        findings.append(Finding("table sets", "well", found, _BESIDE))
    return findings


def _held_up(connection: Connection) -> list[Finding]:
    rows = connection.execute(_SQL["held_up"]).fetchall()
    if not rows:
        return [Finding("orders", "well", "none in doubt, none parked")]
    found = ", ".join(
        f"{count} {delivery.replace('_', ' ')}{'' if needs_person else ' that may settle themselves'}"
        f" (first: {first}{f', {reason}' if reason else ''})"
        for delivery, needs_person, count, first, reason in rows
    )
    if not any(needs_person for _, needs_person, *_ in rows):
        return [Finding("orders", "well", found)]
    to_do = "`orders parked list` shows them; ask the exchange about those in doubt, then `orders parked resolve`"
    return [Finding("orders", "wrong", found, to_do)]


def _adapters(connection: Connection) -> list[Finding]:
    """Those that tell of themselves; where none does, the followers' finding says what to do."""
    rows = connection.execute(_SQL["workers"]).fetchall()
    silent = [f"{worker} told nothing for {age_s:.0f} s" for worker, age_s in rows if age_s > WORKER_SEEN_S]
    if silent:
        return [Finding("adapters", "wrong", "; ".join(silent), "it was killed, hangs or cannot write: see its log")]
    return [Finding("adapters", "well", ", ".join(worker for worker, _ in rows))] if rows else []


def _alerts(connection: Connection) -> list[Finding]:
    rows = connection.execute(_SQL["alerts"]).fetchall()
    if not rows:
        return [Finding("alerts", "well", "none open")]
    found = ", ".join(f"{count} {kind}" for kind, count in rows)
    return [Finding("alerts", "wrong", found, "`orders alerts` shows them")]


def _first_line(error: psycopg.Error) -> str:
    return _line(error) if error.diag.message_primary is None else error.diag.message_primary


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
