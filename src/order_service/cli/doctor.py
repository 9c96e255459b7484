"""doctor: what is well, what is wrong, and what to do about it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import click
from msgspec import structs

from order_service.bounds import DOCTOR_CHECK_S
from order_service.cli.access_checks import check_access
from order_service.cli.broker_check import check_broker
from order_service.cli.checks import check_api, check_data_folder, check_port, check_venue
from order_service.cli.database_checks import check_database
from order_service.cli.findings import Finding
from order_service.cli.output import JSON_OPTION, print_json, print_rows
from order_service.cli.program import DONE, FAILED, UNREACHABLE
from order_service.configuration.access_settings import ACCESS_NAMES
from order_service.configuration.settings import Settings, load_settings
from order_service.errors import SettingsError
from order_service.logs.log_secrets import secrets_of

Check = Callable[[Settings], Iterable[Finding]]

_FOR_ACCESS = frozenset({*ACCESS_NAMES, "BASE_URL", "LISTEN", "TRUSTED_PROXY", "DATABASE_URL", "ORDERS_DATA_DIR"})

CHECKS: dict[str, tuple[Check, frozenset[str]]] = {
    "data folder": (check_data_folder, frozenset({"ORDERS_DATA_DIR"})),
    "database": (check_database, frozenset({"DATABASE_URL", "DATABASE_DIRECT_URL", "ORDERS_DATA_DIR"})),
    "RabbitMQ": (check_broker, frozenset({"AMQP_URL"})),
    "exchange": (check_venue, frozenset({"EXCHANGE", "EXCHANGE_ADDRESS", "ORDERS_DATA_DIR"})),
    "access": (check_access, _FOR_ACCESS),
    "port": (check_port, frozenset({"BASE_URL", "LISTEN", "ENVIRONMENT"})),
    "API": (check_api, frozenset({"BASE_URL", "ENVIRONMENT"})),
}
"""Each check with the settings that it rests on: where one of them is wrong, it would look at the wrong thing."""

_COLOURS = {"wrong": "red", "unreachable": "red", "unknown": "yellow"}


@click.command()
@JSON_OPTION
def doctor(as_json: bool) -> None:
    """Check settings, data folder, database, RabbitMQ, exchange, port and API, and say what to do.

    Exit code 0: all is well; 5: something needed is not reachable; 1: something else is wrong. It changes nothing.
    """
    settings, findings = check_settings()
    wrong = {finding.check.removeprefix("setting ") for finding in findings}
    hung = False
    if settings is not None:
        found, hung = run_checks(CHECKS, settings, wrong)
        findings = [*(findings or [Finding("settings", "well", _where_from(settings))]), *found]
    if as_json:
        print_json(findings)
    else:
        rows = [(finding.check, finding.state, finding.found, finding.to_do) for finding in findings]
        print_rows(("check", "state", "found", "what to do"), rows, colour_of=_colour)
    code = exit_code(findings)
    if hung:  # a thread of foreign code, or one that waits for a network, would keep the process from ending
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def check_settings() -> tuple[Settings | None, list[Finding]]:
    """What is wrong, and the settings with the defaults in the place of that."""
    try:
        return load_settings(), []
    except SettingsError as error:
        findings = [Finding(f"setting {one.name}", "wrong", one.what, "correct it") for one in error.wrong]
        names = {one.name for one in error.wrong}
    unreadable = str(Path(".env")) in names
    try:
        return load_settings(
            {**os.environ, **dict.fromkeys(names, "")}, Path(os.devnull) if unreadable else None
        ), findings
    except SettingsError:
        return None, findings


def run_checks(
    checks: Mapping[str, tuple[Check, frozenset[str]]],
    settings: Settings,
    wrong: set[str],
    within_s: float = DOCTOR_CHECK_S,
) -> tuple[list[Finding], bool]:
    """All at once, each within the time; and whether one still runs. What a check raises is a finding too."""
    pool = ThreadPoolExecutor(len(checks))
    running: dict[str, Future[list[Finding]] | None] = {
        name: None if wrong & needs else pool.submit(_all_of, check, settings)
        for name, (check, needs) in checks.items()
    }
    futures = [future for future in running.values() if future is not None]
    late = wait(futures, timeout=within_s).not_done
    pool.shutdown(wait=False, cancel_futures=True)
    found = [finding for name, future in running.items() for finding in _found(name, future, within_s)]
    secrets = secrets_of(settings)  # what foreign code raises may quote anything
    return [structs.replace(one, found=secrets.hidden_in(one.found)) for one in found], bool(late)


def _all_of(check: Check, settings: Settings) -> list[Finding]:
    return list(check(settings))


def _found(name: str, future: Future[list[Finding]] | None, within_s: float) -> Sequence[Finding]:
    if future is None:
        return [Finding(name, "unknown", "not checked: a setting that it rests on is wrong")]
    if not future.done():
        return [Finding(name, "unreachable", f"no answer within {within_s:g} s")]
    error = future.exception()
    if error is not None:
        return [Finding(name, "wrong", f"{type(error).__name__}: {error}")]
    return future.result()


def exit_code(findings: Iterable[Finding]) -> int:
    states = {finding.state for finding in findings}
    if "unreachable" in states:
        return UNREACHABLE
    return DONE if states <= {"well"} else FAILED


def _where_from(settings: Settings) -> str:
    file = ".env and the environment" if Path(".env").is_file() else "the environment; there is no .env here"
    return f"{settings.environment}, from {file}"


def _colour(row: Sequence[str]) -> str:
    return _COLOURS.get(row[1], "")


commands = {"doctor": doctor}
