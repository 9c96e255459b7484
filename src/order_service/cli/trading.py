"""place, show, list, cancel, replace: what a trader does, through the API."""

from __future__ import annotations

from typing import Any

import click

from order_service.cli.client import call
from order_service.cli.output import JSON_OPTION, print_fields, print_json, print_rows
from order_service.settings import load_settings

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


@click.command()
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
    _print_order(call(load_settings(), "POST", "/orders", json=body).json(), as_json)


@click.command()
@click.argument("order_id", metavar="ID")
@JSON_OPTION
def show(order_id: str, as_json: bool) -> None:
    """Show one order."""
    _print_order(call(load_settings(), "GET", f"/orders/{order_id}").json(), as_json)


@click.command("list")
@click.option("--status", help="Placed, Executed, Canceled, Rejected or Expired.")
@click.option("--symbol")
@click.option("--side", type=click.Choice(["buy", "sell"]))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most this many.")
@JSON_OPTION
def list_orders(as_json: bool, **filters: Any) -> None:
    """List orders, newest first."""
    params = {name: value for name, value in filters.items() if value is not None}
    found = call(load_settings(), "GET", "/orders", params=params).json()
    if as_json:
        print_json(found)
    else:
        print_rows(_COLUMNS, ([order[column] for column in _COLUMNS] for order in found))


@click.command()
@click.argument("order_id", metavar="ID")
@JSON_OPTION
def cancel(order_id: str, as_json: bool) -> None:
    """Cancel an order; what the exchange has not answered yet is shown as PendingCancel."""
    _print_order(call(load_settings(), "DELETE", f"/orders/{order_id}").json(), as_json)


@click.command()
@click.argument("order_id", metavar="ID")
@click.option("--quantity", type=int, help="The new total, what is filled included.")
@click.option("--limit", "limit_price", metavar="PRICE")
@JSON_OPTION
def replace(order_id: str, as_json: bool, **terms: Any) -> None:
    """Change an order's quantity or limit price."""
    body = {name: value for name, value in terms.items() if value is not None}
    if not body:
        raise click.UsageError("nothing to change: give --quantity or --limit")
    _print_order(call(load_settings(), "PUT", f"/orders/{order_id}", json=body).json(), as_json)


def _print_order(order: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(order)
    else:
        print_fields((name, value) for name, value in order.items() if name != "id")


commands = {"place": place, "show": show, "list": list_orders, "cancel": cancel, "replace": replace}
