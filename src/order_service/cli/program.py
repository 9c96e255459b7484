"""All commands, their help, and from errors to exit codes.

Commands are imported when they are called, so that `orders --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem

from order_service.errors import (
    ConflictError,
    NotFoundError,
    ServiceError,
    SettingsError,
    UnreachableError,
    WrongRequestError,
)
from order_service.logs.printable import printable

DONE, FAILED, WRONG_USE, NOT_FOUND, CONFLICT, UNREACHABLE = range(6)
"""Exit codes: done; failed or not so; wrong use; not found; conflict; something needed is not reachable."""

EXIT_CODES: dict[type[ServiceError], int] = {
    SettingsError: WRONG_USE,
    WrongRequestError: WRONG_USE,
    NotFoundError: NOT_FOUND,
    ConflictError: CONFLICT,
    UnreachableError: UNREACHABLE,
}
"""Every other ServiceError is FAILED."""

_EXIT_CODE = f"{__name__}.exit_code"

COMMANDS = {
    "up": ("services", "Start everything on this machine: database, exchange, projector, adapter, API."),
    "api": ("services", "Serve the API alone."),
    "projector": ("services", "Keep the query tables alone."),
    "adapter": ("services", "Place orders at the exchange alone."),
    "relay": ("services", "Publish the log to RabbitMQ alone."),
    "exchange": ("services", "Run the simulated exchange alone."),
    "migrate": ("services", "Bring the database's schema up to date."),
    "replay": ("replay", "Rebuild the query tables from the log, beside the live ones."),
    "verify": ("verify", "Check the log, and compare the query tables with a fresh fold of it."),
    "doctor": ("doctor", "Check settings, database, RabbitMQ, exchange and API, and say what to do."),
    "place": ("trading", "Place an order."),
    "show": ("trading", "Show one order."),
    "explain": ("explain", "Tell an order's life in plain words, and what it waits for."),
    "list": ("trading", "List orders, newest first."),
    "cancel": ("trading", "Cancel an order."),
    "replace": ("trading", "Change an order's quantity or limit price."),
    "parked": ("parked", "Orders that wait for a person: list, retry, resolve."),
    "workers": ("parked", "List the adapter processes."),
    "alerts": ("parked", "List the open alerts."),
    "watch": ("watch", "Follow what happens to orders, live."),
    "keys": ("keys", "API keys: create, list, revoke."),
}
"""Each command's module in this package, and its line in the help."""


class _LazyGroup(click.Group):
    """Knows its commands by name and help line only, until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"order_service.cli.{COMMANDS[cmd_name][0]}")
        command = module.commands[cmd_name]
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """What goes wrong is one clear line on stderr and an exit code, never a traceback."""
        try:
            return super().invoke(ctx)
        except ServiceError as error:
            for line in error.wrong if isinstance(error, SettingsError) else [error]:
                click.echo(f"error: {printable(str(line))}", err=True)
            ctx.exit(exit_code(error))
        except BrokenPipeError:  # the reader of our output has gone: `orders list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(ctx.meta.get(_EXIT_CODE, DONE))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="order-service", prog_name="orders")
def orders() -> None:
    """The order service: durable orders over REST, placed at an unreliable stock exchange.

    Settings come from the environment and from .env in the current folder; .env.example explains each. Exit codes: 0
    done, 1 failed or not so, 2 wrong use, 3 not found, 4 conflict, 5 something needed is not reachable.

    Shell completion, for bash: eval "$(_ORDERS_COMPLETE=bash_source orders)"
    """


def end_with(code: int) -> None:
    """For a command whose exit code is a verdict, before it prints: it holds even where the reader has gone."""
    click.get_current_context().meta[_EXIT_CODE] = code


def exit_code(error: ServiceError) -> int:
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAILED)
