"""Many orders in one body, as POST /orders/batch takes them: a wrong one keeps no other from being placed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, Struct

from orders.api.order_fields import KEY_HEADER, PlaceBody, Placing, placing_of
from orders.api.plain_bodies import read_plain
from orders.body_fields import BodyFields
from orders.bounds import MAX_BATCH_ORDERS, MAX_BATCH_PARTS, ORDERS_A_TURN
from orders.domain.errors import FieldError, InvalidOrder
from orders.domain.terms import Rules
from orders.request_errors import WrongFields
from orders.strict_json import decode_strictly

_PARTS = (b",", b"[", b"{")

Orders = Annotated[
    list[PlaceBody],
    Meta(min_length=1, max_length=MAX_BATCH_ORDERS, description="Each as in POST /orders."),
]


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /orders/batch. The array alone, without an object around it, is the same."""

    orders: Orders


async def read_batch(
    body: bytes, key_header: str | None, rules: Rules, default_symbol: str | None
) -> Sequence[Placing | InvalidOrder]:
    """The orders of a batch, or what is wrong with each. Others get their turn meanwhile.

    Raises: MalformedBody, WrongFields where it is no list of one to MAX_BATCH_ORDERS, or has far more in it.
    """
    if key_header is not None:
        raise WrongFields([FieldError(KEY_HEADER, "A batch has no key: give each order a `client_order_id`")])
    plain = read_plain(body, default_symbol)
    if plain is not None and 0 < len(plain) <= MAX_BATCH_ORDERS:
        return plain
    _check_parts(body)
    read: list[Placing | InvalidOrder] = []
    for number, given in enumerate(_orders(decode_strictly(body)), 1):
        read.append(_placing(given, rules, default_symbol))
        if number % ORDERS_A_TURN == 0:
            await asyncio.sleep(0)
    return read


def _check_parts(body: bytes) -> None:
    """Before it is decoded, which takes half a second for the most parts that a body can have, and holds up everybody.
    Signs within texts count too: they are few. Raises WrongFields."""
    if sum(map(body.count, _PARTS)) > MAX_BATCH_PARTS:
        detail = f"The body has more than {MAX_BATCH_PARTS} parts: {MAX_BATCH_ORDERS} orders have far fewer"
        raise WrongFields([FieldError("", detail)])


def _orders(decoded: Any) -> list[Any]:
    """Raises WrongFields."""
    fields = BodyFields(decoded if isinstance(decoded, dict) else {"orders": decoded}, BatchBody)
    orders = fields.read("orders", _list_of_orders, required=True)
    if fields.errors:
        raise WrongFields(fields.ordered_errors())
    assert isinstance(orders, list)
    return orders


def _list_of_orders(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("Orders must be an array of orders")
    if not value:
        raise ValueError("Orders must have at least one order")
    if len(value) > MAX_BATCH_ORDERS:
        raise ValueError(f"Orders must have at most {MAX_BATCH_ORDERS} orders, not {len(value)}")
    return value


def _placing(given: Any, rules: Rules, default_symbol: str | None) -> Placing | InvalidOrder:
    if not isinstance(given, dict):
        return InvalidOrder((FieldError("", "An order must be a JSON object"),))
    try:
        return placing_of(given, None, rules, default_symbol)
    except InvalidOrder as refused:
        return refused
