"""watch: the live feed in a terminal."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import click
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from order_service.bounds import CLIENT_TIMEOUT_S
from order_service.cli.output import print_json_line
from order_service.errors import RefusedError, UnreachableError
from order_service.settings import load_settings

_COLOURS = {"Placed": "blue", "Executed": "green", "Canceled": "yellow", "Rejected": "red", "Expired": "yellow"}


@click.command()
@click.option("--symbol", help="Only this symbol's orders.")
@click.option("--order", "order_id", metavar="ID", help="Only this order.")
@click.option("--detail", is_flag=True, help="Also what is between: accepted, pending, in doubt, parked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def watch(as_json: bool, detail: bool, **filters: str | None) -> None:
    """Follow what happens to orders, live, until Ctrl-C."""
    settings = load_settings()
    params = {name: value for name, value in filters.items() if value}
    if detail:
        params["detail"] = "true"
    url = settings.base_url.replace("http", "ws", 1) + "/ws" + (f"?{urlencode(params)}" if params else "")
    try:
        socket = connect(url, open_timeout=CLIENT_TIMEOUT_S, proxy=None)
    except (OSError, InvalidHandshake) as error:
        raise UnreachableError(f"no feed at {url} ({error}). Start the service with `orders up`") from None
    click.echo(f"watching {url}; Ctrl-C ends it", err=True)
    with closing(socket):
        try:
            for message in socket:
                print_json_line(message) if as_json else _print(json.loads(message))
        except KeyboardInterrupt:
            return
        except ConnectionClosed as closed:
            raise RefusedError(f"the feed was closed: {closed}") from None
    raise RefusedError(f"the feed was closed: {socket.close_code} {socket.close_reason or ''}".strip())


def _print(message: dict[str, Any]) -> None:
    status = str(message.get("status", ""))
    line = (
        f"{message.get('position', ''):>8}  {message.get('time', '')}  {status.ljust(9)} {message.get('side', ''):4}"
        f" {message.get('filled_quantity', 0)}/{message.get('quantity', '')} {message.get('symbol', '')}"
        f"  {message.get('order_id', '')}"
    )
    click.secho(line, fg=_COLOURS.get(status) if sys.stdout.isatty() else None)


commands = {"watch": watch}
