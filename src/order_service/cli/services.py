"""up, api, projector, adapter, relay, exchange, migrate: what an operator starts."""

from __future__ import annotations

import signal

import click
from click.core import ParameterSource

from order_service.cli.exchange_faults import bust, correct, faults, rate_options, refuse_in_production
from order_service.configuration.settings import Settings, load_settings


@click.command()
def up() -> None:
    """Start everything on this machine, and watch it until Ctrl-C or SIGTERM.

    With DATABASE_URL empty that includes a PostgreSQL of its own, with its data in ORDERS_DATA_DIR; the simulated
    exchange is started where EXCHANGE=simulated, the relay where AMQP_URL names a RabbitMQ.
    """
    from order_service.processes.up import run_all

    run_all(load_settings())


@click.command()
def api() -> None:
    """Serve the API and the WebSocket alone, on LISTEN or BASE_URL's host and port."""
    from order_service.processes.parts import run_api

    run_api(_checked())


@click.command()
def projector() -> None:
    """Keep the query tables alone; a second one stands by."""
    from order_service.processes.parts import run_projector

    run_projector(_checked())


@click.command()
def adapter() -> None:
    """Place orders at the exchange alone, and record what it says."""
    from order_service.processes.parts import run_adapter

    run_adapter(_checked())


@click.command()
def relay() -> None:
    """Publish the log to the RabbitMQ of AMQP_URL alone; a second one stands by.

    The adapters' work goes there, and integration events for other services where INTEGRATION_EVENTS=on.
    """
    from order_service.processes.parts import run_relay

    run_relay(_checked())


@click.group(invoke_without_command=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Prices, delays and faults follow from it.")
@rate_options(0.0)
@click.option("--latency", default="0", metavar="SECONDS", help="Before a request is looked at, like 0.1 or 0.1-0.5.")
@click.option("--house/--no-house", default=True, help="Whether market orders get what the book has not.")
@click.option("--crash-every", default="0", metavar="SECONDS", help="From one crash to the next, like 20-40.")
@click.option("--capacity", default=0, metavar="N", help="Requests a second that it works off; 0: as many as come.")
@click.option("--outage", default="0", metavar="TIME", help="Down for so long as soon as it has started, like 60s.")
@click.pass_context
def exchange(context: click.Context, /, **options: object) -> None:
    """Run the simulated exchange alone, on EXCHANGE_ADDRESS; or break the one that runs, with a command.

    Faults are drawn from the seed. While it runs they are changed by: orders exchange faults
    In production there are none.
    """
    if context.invoked_subcommand is None:
        from order_service.processes.parts import run_exchange

        settings = _checked()
        if any(_is_given(context, option) for option in options if option != "seed"):
            refuse_in_production(settings)
        run_exchange(settings, control=not settings.production, **options)


for command in (faults, bust, correct):
    exchange.add_command(command)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be applied.")
def migrate(dry_run: bool) -> None:
    """Bring the schema up to date; starts the embedded database for its time, if it does not run."""
    from order_service.database import database_for_a_while, migrate_and_grant
    from order_service.migrations import pending

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    with database_for_a_while(load_settings()) as database:
        names = pending(database.owner_url) if dry_run else migrate_and_grant(database)
    for name in names:
        click.echo(f"{'would apply' if dry_run else 'applied'} {name}")
    if not names:
        click.echo("the schema is up to date")


def _is_given(context: click.Context, option: str) -> bool:
    return context.get_parameter_source(option) is ParameterSource.COMMANDLINE


def _checked() -> Settings:
    """For a part that runs alone: its settings, and its log lines."""
    from order_service.logs.log_lines import configure_logs
    from order_service.logs.log_secrets import secrets_of

    settings = load_settings()
    configure_logs(settings.production, settings.log_level, secrets_of(settings))
    return settings


commands = {
    "up": up,
    "api": api,
    "projector": projector,
    "adapter": adapter,
    "relay": relay,
    "exchange": exchange,
    "migrate": migrate,
}
