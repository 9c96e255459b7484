"""place, show, list, cancel, replace: what a trader does, through the API."""

from __future__ import annotations

from typing import Any

import click

from order_service.cli.client import Api, api, object_of, rows_of
from order_service.cli.history import print_history
from order_service.cli.order_ids import ID_ARGUMENT
from order_service.cli.output import JSON_OPTION, on_terminal, print_fields, print_json, print_json_lines, print_rows
from order_service.configuration.settings import load_settings

_COLUMNS = (
    "order_id",
    "symbol",
    "side",
    "type",
    "quantity",
    "limit_price",
    "filled_quantity",
    "average_price",
    "status",
    "ord_status",
    "delivery",
    "created_at",
)
_ON_TERMINAL = {
    "order_id": "order",
    "symbol": "symbol",
    "side": "side",
    "quantity": "quantity",
    "limit_price": "limit",
    "filled_quantity": "filled",
    "status": "status",
    "created_at": "placed at",
}
"""What a line of a terminal has room for; tab-separated output has _COLUMNS, JSON everything."""

_STATUSES = ("Placed", "Executed", "Canceled", "Rejected", "Expired")


class _TakesNumbers(click.Command):
    """click takes a negative number for an option, and would only say that there is none of that name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name[1:2].isdigit():
                raise click.UsageError(
                    "a number below zero is no quantity; an order to sell has --side sell", ctx=ctx
                ) from None
            raise


@click.command(cls=_TakesNumbers)
@click.argument("symbol")
@click.argument("quantity", type=int)
@click.option("--side", type=click.Choice(["buy", "sell"]), default="buy", show_default=True)
@click.option("--limit", "limit_price", metavar="PRICE", help="A limit order at this price; without it a market order.")
@click.option("--tif", "time_in_force", type=click.Choice(["gtc", "day", "ioc", "fok"]), default="gtc")
@click.option("--key", "client_order_id", help="Your own id of the order: a repeat with it finds the same order.")
@click.option("--instrument", "is_code", is_flag=True, help="SYMBOL is a 12-character instrument code.")
@JSON_OPTION
def place(symbol: str, is_code: bool, as_json: bool, **terms: Any) -> None:
    """Place an order for QUANTITY of SYMBOL."""
    body = {name: value for name, value in terms.items() if value is not None}
    body["instrument" if is_code else "symbol"] = symbol
    with api(load_settings()) as service:
        answer = service.call("POST", "/orders", json=body)
    if answer.status_code == 200:
        click.echo("this key was used before: here is the order that was placed with it", err=True)
    _print_order(object_of(answer), as_json)


@click.command()
@ID_ARGUMENT
@click.option("--as-of", metavar="P|TIME", help="As it was after this position of the log, or at this time.")
@click.option("--history", is_flag=True, help="All that happened to it, oldest first; with --json as JSON lines.")
@JSON_OPTION
def show(order_id: str, as_of: str | None, history: bool, as_json: bool) -> None:
    """Show one order: as it is, as it was, or all that happened to it."""
    params = {} if as_of is None else {"as_of": as_of}
    with api(load_settings()) as service:
        if history:
            print_history(service.pages(f"/orders/{order_id}/events", params), as_json)
        else:
            _print_order(object_of(service.call("GET", f"/orders/{order_id}", params=params)), as_json)


@click.command("list")
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False))
@click.option("--symbol", help="A symbol or an instrument code.")
@click.option("--side", type=click.Choice(["buy", "sell"]))
@click.option("--key", "client_order_id", help="Your own id of the order.")
@click.option("--after", "placed_after", metavar="TIME", help="Placed later than this, like 2026-11-21T09:30:00Z.")
@click.option("--before", "placed_before", metavar="TIME", help="Placed earlier than this.")
@click.option("--as-of", metavar="P", help="As the orders were after this position of the log.")
@click.option("--limit", type=click.IntRange(1, 1000), help="At most this many; 50 without it.")
@click.option("--all", "all_pages", is_flag=True, help="All that there are, page by page; with --json as JSON lines.")
@JSON_OPTION
def list_orders(as_json: bool, all_pages: bool, limit: int | None, **filters: Any) -> None:
    """List orders, newest first."""
    if all_pages and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")
    params = {name: value for name, value in filters.items() if value is not None}
    with api(load_settings()) as service:
        if all_pages:
            _print_all(service, params, as_json)
            return
        found = rows_of(service.call("GET", "/orders", params={**params, "limit": limit or 50}))
    if as_json:
        print_json(found)
    else:
        _print_orders(found)


@click.command()
@ID_ARGUMENT
@JSON_OPTION
def cancel(order_id: str, as_json: bool) -> None:
    """Cancel an order, and wait a little for the exchange's answer."""
    _change("DELETE", order_id, None, as_json)


@click.command()
@ID_ARGUMENT
@click.option("--quantity", type=int, help="The new total, what is filled included.")
@click.option("--limit", "limit_price", metavar="PRICE", help="The new limit price.")
@JSON_OPTION
def replace(order_id: str, as_json: bool, **terms: Any) -> None:
    """Change an order's quantity or limit price, and wait a little for the exchange's answer."""
    body = {name: value for name, value in terms.items() if value is not None}
    if not body:
        raise click.UsageError("nothing to change: give --quantity or --limit")
    _change("PUT", order_id, body, as_json)


def _change(method: str, order_id: str, body: dict[str, Any] | None, as_json: bool) -> None:
    with api(load_settings()) as service:
        answer = service.call(method, f"/orders/{order_id}", json=body)
    if answer.status_code == 202:
        click.echo(
            "pending: the exchange has not answered yet, and may still refuse;"
            f" `orders show {order_id}` tells how it ended",
            err=True,
        )
    _print_order(object_of(answer), as_json)


def _print_all(service: Api, params: dict[str, Any], as_json: bool) -> None:
    for number, page in enumerate(service.pages("/orders", params)):
        if as_json:
            print_json_lines(page)
        else:
            _print_orders(page, header=number == 0)


def _print_orders(orders: list[dict[str, Any]], *, header: bool = True) -> None:
    if on_terminal():
        shown = [{**order, "created_at": str(order.get("created_at"))[:19]} for order in orders]
        print_rows([*_ON_TERMINAL.values()], [[order.get(name) for name in _ON_TERMINAL] for order in shown])
    else:
        print_rows(_COLUMNS, [[order.get(name) for name in _COLUMNS] for order in orders], header=header)


def _print_order(order: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(order)
    else:
        print_fields((name, value) for name, value in order.items() if name != "id")


commands = {"place": place, "show": show, "list": list_orders, "cancel": cancel, "replace": replace}
