"""What `orders doctor` says of who may use the service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from order_service.bounds import DOCTOR_CHECK_S
from order_service.cli.findings import Finding
from order_service.configuration.settings import Settings
from order_service.database import database
from order_service.errors import EmbeddedPostgresError, UnreachableError
from order_service.security.key_table import list_keys
from orders.eventstore.connections import connect

_CREATE = "orders keys create --account NAME --scope read --scope trade"


def check_access(settings: Settings) -> Iterator[Finding]:
    access, where = settings.access, settings.listen
    if access.required:
        yield _who_has_entrance(settings)
    elif settings.trusted_proxy:
        found = f"open: whom {settings.trusted_proxy} lets through to {where} may do everything, as the account local"
        yield Finding("access", "well", found, "let the proxy ask who it is, or set AUTHENTICATION=required")
    else:
        yield Finding("access", "well", f"local: whoever reaches {where} on this machine may do everything")


def _who_has_entrance(settings: Settings) -> Finding:
    encrypted = "over https" if settings.access.tls else "over http"
    tokens = settings.access.tokens
    try:
        holding = _keys_that_hold(settings)
    except (UnreachableError, EmbeddedPostgresError, psycopg.OperationalError):
        return Finding("access", "unknown", "the API keys cannot be read: the database is not reachable")
    except psycopg.errors.UndefinedTable:
        return Finding("access", "unknown", "the table of API keys is not there yet", "run `orders migrate`")
    if not holding and tokens is None:
        return Finding("access", "wrong", "nobody can use the service: there is no API key that holds", _CREATE)
    taken = "" if tokens is None else f", and tokens of {tokens.issuer}"
    return Finding("access", "well", f"API keys that hold: {holding}{taken}; {encrypted}")


def _keys_that_hold(settings: Settings) -> int:
    now = datetime.now(UTC)
    with connect(
        database(settings).direct_url, application_name="orders doctor", within_s=DOCTOR_CHECK_S / 2
    ) as connection:
        found = list_keys(connection)
    return sum(key.revoked_at is None and (key.expires_at is None or key.expires_at > now) for key in found)
