"""`orders up`: everything on one machine, supervised."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable

import click

from order_service.configuration.settings import Settings
from order_service.database import database, migrate_and_grant, of_embedded
from order_service.exchange import capabilities
from order_service.postgres import EmbeddedPostgres
from order_service.processes.listening import require_free
from order_service.processes.supervisor import Part, Supervisor

STOP_ORDER = ("api", "adapter", "projector", "exchange", "relay")
"""First who takes orders, then who places them; the database last. The relay is told to stop at once, while the others
end: what it has not published yet it publishes after the next start."""

# With the database's FAST_STOP_S and IMMEDIATE_STOP_S below ten seconds, for they stop one after another. The adapter's
# calls have what END_S leaves of its time.
_STOP_S = {"api": 2.5, "adapter": 3.0, "projector": 1.0, "exchange": 1.0, "relay": 3.0}
_AT_ONCE = frozenset({"relay"})

_NOT_FOR_PARTS = ("DATABASE_OWNER_URL", "DATABASE_OWNER_URL_FILE")
"""Empty in the environment of the parts, over what .env says: they never hold the owner's password."""


def run_all(settings: Settings) -> None:
    """Returns after SIGTERM or SIGINT, when all that it started has ended.

    Raises: SettingsError, AddressInUse, EmbeddedPostgresError, MigrationError, UnreachableError, PartFailed.
    """
    began = time.monotonic()
    require_free(settings.listen)
    capabilities(settings)
    embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
    tell, warn = told_by(settings)

    def prepare() -> None:
        where = database(settings) if embedded is None else of_embedded(embedded.url)
        if embedded is not None:
            os.environ["DATABASE_URL"] = where.url
            tell(f"started PostgreSQL (pid {embedded.pid}) with its data in {settings.data_dir}")
        for name in migrate_and_grant(where):
            tell(f"applied migration {name}")
        os.environ.update(dict.fromkeys(_NOT_FOR_PARTS, ""))

    def started() -> None:
        seconds = time.monotonic() - began
        if settings.production:
            tell(f"the order service listens on {settings.listen} (ready after {seconds:.1f} s)")
        else:
            _greet(settings, seconds)

    Supervisor(parts_of(settings), STOP_ORDER, embedded, tell, warn).run(prepare, started)
    tell("stopped; everything that was accepted is kept")


def parts_of(settings: Settings) -> list[Part]:
    exchange = ["exchange"] if settings.simulates_exchange else []
    relay = ["relay"] if settings.amqp_url else []
    return [
        Part(name, (sys.executable, "-m", "order_service", name), _STOP_S[name], name in _AT_ONCE)
        for name in (*exchange, "projector", *relay, "adapter", "api")
    ]


def _greet(settings: Settings, seconds: float) -> None:
    url = settings.base_url
    symbol = settings.default_symbol or next(iter(settings.catalogue.symbols), "EURUSD")
    order = f'{{"symbol": "{symbol}", "quantity": 10}}'
    exchange = "the simulated exchange" if settings.simulates_exchange else settings.exchange
    click.echo(
        f"""
The order service listens on {url} (ready after {seconds:.1f} s), and places orders at {exchange}.

  place an order   curl -s {url}/orders -H 'Content-Type: application/json' -d '{order}'
  list all         curl -s {url}/orders
  watch them       {_orders_command()} watch
  documentation    {url}/docs
{_keys_told(settings)}
Ctrl-C stops everything and loses nothing.
"""
    )


def _keys_told(settings: Settings) -> str:
    if not settings.access.required:
        return ""
    make = f"{_orders_command()} keys create --account NAME --scope read --scope trade"
    return (
        f"  make a key       {make}"
        "\n  and show it      -H 'Authorization: Bearer <the key>'; our own commands take it from ORDERS_API_KEY\n"
    )


def _orders_command() -> str:
    beside = os.path.join(os.path.dirname(sys.executable), "orders")  # noqa: PTH118, PTH120 - shown as it is typed
    return os.path.relpath(beside) if os.path.exists(beside) else "orders"  # noqa: PTH110


def told_by(settings: Settings) -> tuple[Callable[[str], None], Callable[[str], None]]:
    """What tells lines, and what tells those that need a look. No secret is in them, and in production they are log
    lines like all others."""
    from order_service.logs.log_secrets import secrets_of

    secrets = secrets_of(settings)
    if settings.production:
        from order_service.logs.log_lines import configure_logs

        configure_logs(settings.production, settings.log_level, secrets)
        log = logging.getLogger(__name__)
        return log.info, log.warning

    def tell(line: str) -> None:
        click.echo(secrets.hidden_in(line), err=True)

    return tell, tell
