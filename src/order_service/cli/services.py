"""up, api, projector, adapter, exchange, migrate: what an operator starts."""

from __future__ import annotations

import signal

import click

from order_service.settings import Settings, load_settings


@click.command()
def up() -> None:
    """Start everything on this machine, and watch it until Ctrl-C or SIGTERM.

    With DATABASE_URL empty that includes a PostgreSQL of its own, with its data in ORDERS_DATA_DIR; the simulated
    exchange is started where EXCHANGE=simulated.
    """
    from order_service.up import run_all

    run_all(load_settings())


@click.command()
def api() -> None:
    """Serve the API and the WebSocket alone, on LISTEN or BASE_URL's host and port."""
    from order_service.processes import run_api

    run_api(_checked())


@click.command()
def projector() -> None:
    """Keep the query tables alone; a second one stands by."""
    from order_service.processes import run_projector

    run_projector(_checked())


@click.command()
def adapter() -> None:
    """Place orders at the exchange alone, and record what it says."""
    from order_service.processes import run_adapter

    run_adapter(_checked())


@click.command()
@click.option("--seed", type=int, default=0, show_default=True, help="Prices, delays and faults follow from it.")
@click.option("--error-rate", type=click.FloatRange(0, 1), default=0.0, help="Share of requests that are refused.")
@click.option("--latency", default="0", metavar="SECONDS", help="Before a request is looked at, like 0.1 or 0.1-0.5.")
@click.option("--hang-rate", type=click.FloatRange(0, 1), default=0.0, help="Share of requests never answered.")
@click.option("--drop-rate", type=click.FloatRange(0, 1), default=0.0, help="Share carried out, the answer cut off.")
def exchange(seed: int, error_rate: float, latency: str, hang_rate: float, drop_rate: float) -> None:
    """Run the simulated exchange alone, on EXCHANGE_ADDRESS."""
    from order_service.processes import run_exchange

    faults = {"error_rate": error_rate, "latency": latency, "hang_rate": hang_rate, "drop_rate": drop_rate}
    run_exchange(_checked(), seed=seed, **faults)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be applied.")
def migrate(dry_run: bool) -> None:
    """Bring the schema up to date; starts the embedded database for its time, if it does not run."""
    from order_service.database import database_for_a_while
    from order_service.migrations import migrate as apply
    from order_service.migrations import pending

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a server that was started for this is stopped
    with database_for_a_while(load_settings()) as database:
        names = pending(database.direct_url) if dry_run else apply(database.direct_url)
    for name in names:
        click.echo(f"{'would apply' if dry_run else 'applied'} {name}")
    if not names:
        click.echo("the schema is up to date")


def _checked() -> Settings:
    """For a part that runs alone: its settings, and its log lines."""
    from order_service.logs import configure_logs

    settings = load_settings()
    configure_logs(settings.production)
    return settings


commands = {
    "up": up,
    "api": api,
    "projector": projector,
    "adapter": adapter,
    "exchange": exchange,
    "migrate": migrate,
}
