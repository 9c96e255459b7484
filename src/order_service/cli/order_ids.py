"""Ids of orders on the command line: nothing else may become a part of a path."""

from __future__ import annotations

import re

import click

from order_service.errors import NotFoundError

_ID = re.compile(r"[0-9a-fA-F-]{36}")


def require_id(order_id: str) -> None:
    """Raises NotFoundError: what is no id is no order's either."""
    if not _ID.fullmatch(order_id):
        raise NotFoundError(f"Order with ID: {order_id} does not exist")


def _checked(ctx: click.Context, parameter: click.Parameter, order_id: str) -> str:
    if not ctx.resilient_parsing:
        require_id(order_id)
    return order_id


ID_ARGUMENT = click.argument("order_id", metavar="ID", callback=_checked)
