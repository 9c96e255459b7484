"""Starts an exchange from plain settings: `run` for the service's own command line, `cli` for this package's."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulated_exchange import server
from simulated_exchange.bounds import MAX_CRASH_EVERY_S, MAX_LATENCY_S
from simulated_exchange.config import ExchangeConfig, parse_address, parse_fill_delay, parse_outage_s, parse_range_s
from simulated_exchange.errors import ExchangeError
from simulated_exchange.faults import FaultPlan


def run(
    *,
    data_dir: Path,
    address: str = "",
    seed: int = 0,
    fill_delay: str = "4-6",
    error_rate: float = 0.0,
    latency: str = "0",
    hang_rate: float = 0.0,
    drop_rate: float = 0.0,
    disconnect_rate: float = 0.0,
    duplicate_rate: float = 0.0,
    reorder_rate: float = 0.0,
    crash_every: str = "0",
    capacity: int = 0,
    outage: str = "0",
    house: bool = True,
    control: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT. Raises ExchangeError with one line for a person, and its `exit_code`.

    `address` is a socket's path or host:port, empty for a socket in the data folder; `fill_delay`, `latency` and
    `crash_every` are seconds like "4-6" or "4", `outage` like "60s" or "10m"; `capacity` is in requests a second, 0 for
    as many as come. `control` opens the endpoint where a person sets faults while it runs; never in production. `ready`
    gets the address once clients can connect.
    """
    plan = FaultPlan(
        error_rate,
        hang_rate,
        drop_rate,
        parse_range_s("latency", latency, MAX_LATENCY_S),
        disconnect_rate,
        duplicate_rate,
        reorder_rate,
        parse_range_s("crash-every", crash_every, MAX_CRASH_EVERY_S),
        capacity,
    )
    config = ExchangeConfig(
        data_dir=data_dir,
        address=parse_address(address, data_dir),
        seed=seed,
        fill_delay_s=parse_fill_delay(fill_delay),
        faults=plan.checked(),
        house=house,
        outage_s=parse_outage_s(outage),
        control=control,
    )
    server.run(config, ready)


def cli() -> None:
    """`python -m simulated_exchange`."""
    import click  # not needed where another command line calls `run`

    @click.command(help="A simulated exchange: orders in, execution reports out, over a socket.")
    @click.option("--data-dir", type=click.Path(path_type=Path), required=True, help="Journal, lock and socket.")
    @click.option("--address", default="", help="A socket's path, or host:port. [default: a socket in the data folder]")
    @click.option("--seed", default=0, show_default=True, help="Prices, delays and faults follow from it.")
    @click.option("--fill-delay", default="4-6", show_default=True, help="Seconds until the house fills.")
    @click.option("--error-rate", default=0.0, help="Share of requests that are refused, 0 to 1.")
    @click.option("--latency", default="0", help='Seconds before a request is looked at, like "0.1" or "0.1-0.5".')
    @click.option("--hang-rate", default=0.0, help="Share of requests that are never looked at nor answered.")
    @click.option("--drop-rate", default=0.0, help="Share carried out, with the connection cut in place of an answer.")
    @click.option("--disconnect-rate", default=0.0, help="Share of requests and of report writes at which it cuts.")
    @click.option("--duplicate-rate", default=0.0, help="Share of reports that come twice.")
    @click.option("--reorder-rate", default=0.0, help="Share of reports that come behind the next.")
    @click.option("--crash-every", default="0", help='Seconds from one crash to the next, like "20-40"; 0: none.')
    @click.option("--capacity", default=0, help="Requests a second that it works off, others wait; 0: all that come.")
    @click.option("--outage", default="0", help='Down for so long as soon as it has started, like "60s".')
    @click.option("--house/--no-house", default=True, help="Whether market orders get what the book has not.")
    @click.option("--control/--no-control", default=True, help="Whether faults can be set while it runs.")
    def command(**options: Any) -> None:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        try:
            run(**options, ready=lambda where: click.echo(f"The simulated exchange listens on {where}"))
        except ExchangeError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)

    command(prog_name="python -m simulated_exchange")
