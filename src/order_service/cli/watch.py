"""watch: the live feed in a terminal."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlencode

import click
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect

from order_service.bounds import CLIENT_TIMEOUT_S, FEED_CLOSE_S
from order_service.cli.output import print_line
from order_service.errors import ServiceError, UnreachableError, WrongRequestError
from order_service.settings import Settings, load_settings

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

_WRONG_PARAMETER = 4422


@click.command()
@click.option("--symbol", help="Only this symbol's orders.")
@click.option("--order", "order_id", metavar="ID", help="Only this order.")
@click.option("--detail", is_flag=True, help="Also what is between: accepted, pending, in doubt, parked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def watch(as_json: bool, detail: bool, **filters: str | None) -> None:
    """Follow what happens to orders, live, until Ctrl-C, which is its normal end (exit code 0)."""
    settings = load_settings()
    params = {name: value for name, value in filters.items() if value}
    if detail:
        params["detail"] = "true"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        for message in _messages(_connect(settings, params, stack)):
            click.echo(message) if as_json else _print(json.loads(message))


def _connect(settings: Settings, params: dict[str, str], stack: ExitStack) -> ClientConnection:
    url = settings.base_url.replace("http", "ws", 1) + "/ws" + (f"?{urlencode(params)}" if params else "")
    try:
        connecting = connect(url, open_timeout=CLIENT_TIMEOUT_S, close_timeout=FEED_CLOSE_S, proxy=None)
        socket = stack.enter_context(connecting)
    except (OSError, InvalidHandshake) as error:
        reason = str(error) or type(error).__name__
        raise UnreachableError(f"no feed at {url} ({reason}). Start the service with `orders up`") from None
    click.echo(f"watching {url}; Ctrl-C ends it", err=True)
    return socket


def _messages(socket: ClientConnection) -> Any:
    """Until the service ends it, which raises WrongRequestError or UnreachableError."""
    try:
        while True:
            yield socket.recv()
    except ConnectionClosed as closed:
        raise _ended(closed.rcvd) from None


def _ended(said: Close | None) -> ServiceError:
    if said is None:
        return UnreachableError(
            "the connection to the feed was lost: start again, with `orders list` for what was missed"
        )
    if said.code == _WRONG_PARAMETER:
        return WrongRequestError(said.reason)
    reason = said.reason or f"close code {said.code}"
    return UnreachableError(f"the service has closed the feed: {reason}")


def _print(message: dict[str, Any]) -> None:
    print_line(
        [message.get(name) for name in _COLUMNS], [*_COLUMNS.values()], _COLOURS.get(message.get("status", ""), "")
    )


commands = {"watch": watch}
