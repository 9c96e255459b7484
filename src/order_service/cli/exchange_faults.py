"""exchange faults, bust, correct: a person breaks the running simulated exchange, and mends it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from order_service.cli.output import JSON_OPTION, print_fields, print_json
from order_service.configuration.settings import Settings, load_settings
from order_service.errors import ConflictError, NotFoundError, UnreachableError, WrongRequestError

RATES: dict[str, str] = {
    "error": "Share of requests that are refused.",
    "hang": "Share of requests never answered.",
    "drop": "Share carried out, the answer cut off.",
    "disconnect": "Share of requests, and of writes of reports, at which the connection is cut.",
    "duplicate": "Share of reports that come twice.",
    "reorder": "Share of reports that come behind the next.",
}
"""Each rate, and its line in the help."""

F = TypeVar("F", bound=Callable[..., Any])


def rate_options(default: float | None) -> Callable[[F], F]:
    """An option for each rate, named like error_rate."""

    def add(command: F) -> F:
        for name, text in reversed(RATES.items()):
            command = click.option(f"--{name}-rate", type=click.FloatRange(0, 1), default=default, help=text)(command)
        return command

    return add


@click.command()
@rate_options(None)
@click.option("--latency", metavar="SECONDS", help="Before a request is looked at, like 0.1 or 0.1-0.5.")
@click.option("--house/--no-house", default=None, help="Whether market orders get what the book has not.")
@click.option("--crash-every", metavar="SECONDS", help="From one crash to the next, like 20-40; 0: none.")
@click.option("--capacity", type=int, metavar="N", help="Requests a second that it works off; 0: as many as come.")
@click.option("--outage", metavar="TIME", help="Down for so long, like 60s or 10m; 0 ends one.")
@click.option("--disconnect", is_flag=True, help="Cut every connection now.")
@click.option("--restart", is_flag=True, help="Crash it now; it reads its journal and goes on.")
@click.option("--off", is_flag=True, help="End all faults and the outage, open the house.")
@JSON_OPTION
def faults(
    latency: str | None,
    house: bool | None,
    crash_every: str | None,
    capacity: int | None,
    outage: str | None,
    disconnect: bool,
    restart: bool,
    off: bool,
    as_json: bool,
    **rates: float | None,
) -> None:
    """Show what is wrong with the running simulated exchange, and change it.

    What is given changes, the rest stays. Faults end with the exchange's process. Off in production.
    """
    answer = _ask(
        "faults",
        latency_s=None if latency is None else _time("latency", latency),
        crash_every_s=None if crash_every is None else _time("crash-every", crash_every),
        capacity=capacity,
        house=house,
        outage_s=None if outage is None else _time("outage", outage),
        disconnect=disconnect or None,
        restart=restart or None,
        reset=off or None,
        **rates,
    )
    del answer["outcome"]
    if as_json:
        print_json(answer)
        return
    set_faults: dict[str, Any] = answer["faults"]
    ranges = {name.removesuffix("_s"): set_faults.pop(name) for name in ("latency_s", "crash_every_s")}
    capacity = set_faults.pop("capacity")
    left_s = answer["outage_left_s"]
    exchange = "up" if answer["up"] else f"down for {math.ceil(left_s)} s more" if left_s else "starting"
    print_fields(
        [
            ("exchange", exchange),
            ("starts", answer["starts"]),
            ("house", "open" if answer["house"] else "closed"),
            ("capacity", f"{capacity} requests/s" if capacity else "as many as come"),
            *((name.replace("_", " "), f"{rate:g}") for name, rate in set_faults.items()),
            *(
                (name.replace("_", " "), f"{low:g} s" if low == high else f"{low:g} to {high:g} s")
                for name, (low, high) in ranges.items()
            ),
        ]
    )


@click.command()
@click.argument("order_id")
@click.option("--execution", "exec_id", help="Its exec_id.  [default: the order's newest]")
@JSON_OPTION
def bust(order_id: str, exec_id: str | None, as_json: bool) -> None:
    """Make an execution void (FIX ExecType H). An order that had executed works again."""
    _print_amended(_ask("bust", order_id=order_id, exec_id=exec_id), as_json)


@click.command()
@click.argument("order_id")
@click.option("--execution", "exec_id", help="Its exec_id.  [default: the order's newest]")
@click.option("--quantity", type=int, help="What it should have been.")
@click.option("--price", help="What it should have been.")
@JSON_OPTION
def correct(order_id: str, exec_id: str | None, quantity: int | None, price: str | None, as_json: bool) -> None:
    """Give an execution another quantity or price (FIX ExecType G)."""
    if quantity is None and price is None:
        raise click.UsageError("say what it should have been: --quantity, --price or both")
    _print_amended(_ask("correct", order_id=order_id, exec_id=exec_id, quantity=quantity, price=price), as_json)


def _print_amended(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        print_fields([(name.replace("_", " "), value) for name, value in answer.items()])


def _time(option: str, text: str) -> float | tuple[float, float]:
    """Seconds; a range of them but for the outage."""
    from simulated_exchange.bounds import MAX_CRASH_EVERY_S, MAX_LATENCY_S
    from simulated_exchange.config import parse_outage_s, parse_range_s
    from simulated_exchange.errors import BadSetting

    most = MAX_LATENCY_S if option == "latency" else MAX_CRASH_EVERY_S
    try:
        return parse_outage_s(text) if option == "outage" else parse_range_s(option, text, most)
    except BadSetting as error:
        raise click.BadParameter(str(error), param_hint=f"--{option}") from None


def refuse_in_production(settings: Settings) -> None:
    """Raises: WrongRequestError."""
    if settings.production:
        raise WrongRequestError("ENVIRONMENT is production: the exchange takes no faults there")


def _ask(op: str, **fields: Any) -> dict[str, Any]:
    """Raises: ConflictError, NotFoundError, UnreachableError, WrongRequestError."""
    from simulated_exchange.control_client import ask
    from simulated_exchange.errors import ControlRefused, ControlUnreachable

    settings = load_settings()
    refuse_in_production(settings)
    try:
        return ask(settings.data_dir / "exchange", op, **fields)
    except ControlUnreachable as error:
        raise UnreachableError(f"{error}; start one with: orders up, or orders exchange") from error
    except ControlRefused as error:
        match error.code:
            case "unknown_order" | "unknown_execution":
                raise NotFoundError(str(error)) from error
            case "unavailable":
                raise ConflictError(str(error)) from error
        raise WrongRequestError(str(error)) from error
