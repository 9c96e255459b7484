"""watch: the live feed in a terminal."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from order_client import Invalid, NotPermitted, OrderClient, OrderClientError
from order_client.sync_stream import Stream
from order_service.bounds import WATCH_START_S
from order_service.cli.output import print_line
from order_service.cli.own_access import tls
from order_service.configuration.settings import Settings, load_settings
from order_service.errors import RefusedError, UnreachableError, WrongRequestError
from order_service.logs.printable import printable

_COLOURS = {"Placed": "blue", "Executed": "green", "Canceled": "yellow", "Rejected": "red", "Expired": "yellow"}
_COLUMNS = {
    "position": 6,
    "time": 27,
    "event": 16,
    "status": 8,
    "side": 4,
    "filled_quantity": 1,
    "quantity": 1,
    "symbol": 6,
    "order_id": 36,
}
"""What a line shows, and how wide it is at least on a terminal."""


@click.command()
@click.option("--symbol", help="Only this symbol's orders.")
@click.option("--order", "order_id", metavar="ID", help="Only this order.")
@click.option("--detail", is_flag=True, help="Also what is between: accepted, pending, in doubt, parked.")
@click.option("--after", type=click.IntRange(0), metavar="N", help="First everything after this position of the log.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def watch(as_json: bool, **asked: Any) -> None:
    """Follow what happens to orders, live, until Ctrl-C, which is its normal end (exit code 0).

    Where the connection is lost it goes on as soon as the service is back, and neither misses nor repeats anything.
    """
    settings = load_settings()
    url = settings.base_url
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt), _messages(settings, **asked) as messages:
        for number, message in enumerate(messages):
            if not number:  # not before: what is wrong with the request has been told by then
                click.echo(f"watching {url.replace('http', 'ws', 1)}/ws; Ctrl-C ends it", err=True)
            told = json.loads(message)
            if told.get("type") != "caught_up":
                click.echo(message) if as_json else _print(told)


@contextmanager
def _messages(settings: Settings, after: int | None, **asked: Any) -> Iterator[Stream[bytes]]:
    """Raises UnreachableError where there is no service now, RefusedError, and WrongRequestError."""
    url, key = settings.base_url, settings.access.api_key
    try:
        with OrderClient(url, timeout_s=WATCH_START_S, api_key=key, tls=tls(settings)) as client:
            start = client.present_position()
            asked |= {"after": start if after is None else after, "caught_up": True, "on_lost": _Told()}
            with client.stream_json(**asked) as messages:
                yield messages
    except Invalid as wrong:
        raise WrongRequestError(str(wrong)) from None
    except NotPermitted as refused:
        raise RefusedError(f"{refused}. ORDERS_API_KEY is the key that is shown") from None
    except OrderClientError as error:
        raise UnreachableError(f"no feed: {error}. Start the service with `orders up`, or set BASE_URL") from None


class _Told:
    """Says why the connection was lost, each reason once while it stays the same."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, reason: str) -> None:
        if reason != self._last:
            click.echo(f"{printable(reason)}; trying again", err=True)
        self._last = reason


def _print(message: dict[str, Any]) -> None:
    print_line(
        [message.get(name) for name in _COLUMNS], [*_COLUMNS.values()], _COLOURS.get(message.get("status", ""), "")
    )


commands = {"watch": watch}
