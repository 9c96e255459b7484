"""keys create, list and revoke: who may use the service. They work on the database itself: whoever may write there may
make keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import psycopg

from order_service.cli.output import JSON_OPTION, print_fields, print_json, print_rows
from order_service.configuration.settings import load_settings
from order_service.database import database
from order_service.errors import NotFoundError, UnreachableError, WrongRequestError
from order_service.security.api_keys import key_id_of, new_key
from order_service.security.bounds import MAX_ACCOUNT, MAX_KEY_DAYS, MAX_KEY_NAME
from order_service.security.key_table import ListedKey, create_key, list_keys, revoke_key
from order_service.security.principal import AccessScope, is_account
from orders.eventstore.connections import connect

_TERM = re.compile(r"([1-9][0-9]{0,5})([hd])")
_HOURS = {"h": 1, "d": 24}
_COLUMNS = ("key_id", "account", "scopes", "name", "state", "created_at", "expires_at", "last_used_at")


@click.group()
def keys() -> None:
    """API keys: create, list, revoke. The service asks for them where AUTHENTICATION=required.

    A key belongs to an account, and sees and changes that account's orders only. Its scopes say what it opens: read
    (orders, trades, books, the feed), trade (place, change and cancel orders), admin (/ops and /metrics). None implies
    another.
    """


@keys.command()
@click.option("--account", required=True, help="Whose orders it sees and places.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in AccessScope]),
    multiple=True,
    required=True,
    help="Once for each scope.",
)
@click.option("--name", default="", help="What you call it, such as who has it.")
@click.option("--expires", metavar="TIME", help="When it ends, like 90d, 12h or 2027-01-31T00:00:00Z; else never.")
@JSON_OPTION
def create(account: str, scopes: tuple[str, ...], name: str, expires: str | None, as_json: bool) -> None:
    """Make a key. It is shown this once: only a digest of it is kept."""
    if not is_account(account):
        raise WrongRequestError(f"--account: 1 to {MAX_ACCOUNT} characters from ! to ~, no spaces")
    if len(name) > MAX_KEY_NAME or not (name.isprintable() or not name):
        raise WrongRequestError(f"--name: at most {MAX_KEY_NAME} printable characters")
    ends_at = None if expires is None else _time(expires)
    ordered = [scope.value for scope in AccessScope if scope in scopes]
    key = new_key()
    with _connection() as connection:
        create_key(connection, key, account, ordered, name, ends_at)
    if as_json:
        made = {"key_id": key.key_id, "key": key.text, "account": account, "scopes": ordered, "expires_at": ends_at}
        print_json(made)
        return
    click.echo("this key is shown only now; keep it where secrets are kept:", err=True)
    click.echo(key.text)
    click.echo(f"try: curl -H 'Authorization: Bearer <the key>' {load_settings().base_url}/orders", err=True)


@keys.command("list")
@click.option("--account", help="Only this account's.")
@JSON_OPTION
def list_all(account: str | None, as_json: bool) -> None:
    """List keys, newest first, without their secrets."""
    with _connection() as connection:
        found = list_keys(connection, account)
    now = datetime.now(UTC)
    rows = [{**_shown(key), "state": _state(key, now)} for key in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(_COLUMNS, [[_cell(row[name]) for name in _COLUMNS] for row in rows])


@keys.command()
@click.argument("key_id", metavar="ID")
@JSON_OPTION
def revoke(key_id: str, as_json: bool) -> None:
    """End a key, by its id or the whole key. Running services notice within two seconds, and cut its streams."""
    key_id = key_id_of(key_id) or key_id
    with _connection() as connection:
        since = revoke_key(connection, key_id)
    if since is None:
        raise NotFoundError(f"there is no key {key_id[:40]}; `orders keys list` shows all")
    if as_json:
        print_json({"key_id": key_id, "revoked_at": since})
    else:
        print_fields([("key_id", key_id), ("revoked_at", since.isoformat())])


@contextmanager
def _connection() -> Iterator[psycopg.Connection[Any]]:
    where = database(load_settings())
    try:
        with connect(where.direct_url, application_name="orders keys") as connection:
            yield connection
    except psycopg.errors.UndefinedTable:
        raise UnreachableError("the database has no table of keys yet: run `orders migrate`") from None
    except psycopg.Error as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise UnreachableError(f"the database did not do it: {words[0]}") from None


def _time(text: str) -> datetime:
    """Raises WrongRequestError."""
    now = datetime.now(UTC)
    try:
        term = _TERM.fullmatch(text)
        given = now + timedelta(hours=int(term[1]) * _HOURS[term[2]]) if term else datetime.fromisoformat(text)
    except ValueError:
        given = now
    if given.tzinfo is None or not now < given <= now + timedelta(days=MAX_KEY_DAYS):
        raise WrongRequestError(
            "--expires: a term like 90d or 12h, or a time to come like 2027-01-31T00:00:00Z, within ten years"
        )
    return given.astimezone(UTC)


def _shown(key: ListedKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in key.__struct_fields__}


def _state(key: ListedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "holds"


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return ",".join(value) if isinstance(value, list) else value


commands = {"keys": keys}
