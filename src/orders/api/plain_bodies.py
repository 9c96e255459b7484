"""A quick reader of batches that are right in form: what it takes, it reads as `order_fields` does; else it says None.

msgspec alone is strict enough but for three things. It passes a key that stands twice: then the body has more colons
than what was read of it (colons within texts stand in both, and bodies with escapes are left to the other reader).
It takes prices that are no plain decimals: those stay raw, and are looked at here. And it stops at the first error, so
that a body with any error is read by the other reader, which names all of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from orders.api.order_fields import SIDES, Placing, plain_price
from orders.bounds import MAX_ECHO
from orders.domain.commands import Terms
from orders.domain.values import OrderType, Side, TimeInForce
from orders.parameters import is_key
from orders.unreadable import UNREADABLE

_ESCAPE, _COLON, _ARRAY = b"\\", b":", b"["
_PRICE = re.compile(rb'(?:"(-?[0-9]{1,20}(?:\.[0-9]{1,20})?)"|(-?[0-9]{1,20}(?:\.[0-9]{1,20})?))')
_NOT_GIVEN = (b"", b"null")
_WORDS = str | UnsetType | None


class _PlainOrder(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The fields of `PlaceBody`. They are written as they were read, those that were not given left out."""

    quantity: int
    symbol: _WORDS = UNSET
    instrument: _WORDS = UNSET
    side: Literal["buy", "sell", 1, -1] | UnsetType | None = UNSET
    type: OrderType | UnsetType | None = UNSET
    limit_price: Raw = Raw()
    price: Raw = Raw()
    time_in_force: TimeInForce | UnsetType | None = UNSET
    client_order_id: _WORDS = UNSET


class _PlainBatch(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    orders: list[_PlainOrder]


_array = msgspec.json.Decoder(list[_PlainOrder])
_object = msgspec.json.Decoder(_PlainBatch)
_encode = msgspec.json.Encoder().encode


def read_plain(body: bytes, default_symbol: str | None) -> list[Placing] | None:
    """The orders of an array, or of an object with nothing but `orders`; None where `order_fields` has to look."""
    if _ESCAPE in body:
        return None
    try:
        read = _array.decode(body) if body.lstrip()[:1] == _ARRAY else _object.decode(body)
    except UNREADABLE:
        return None
    if _encode(read).count(_COLON) != body.count(_COLON):
        return None
    return _placings(read.orders if isinstance(read, _PlainBatch) else read, default_symbol)


def _placings(orders: Sequence[_PlainOrder], default_symbol: str | None) -> list[Placing] | None:
    placings: list[Placing] = []
    prices: dict[bytes, Decimal] = {}  # orders of a batch often share them
    for order in orders:
        placing = _placing(order, default_symbol, prices)
        if placing is None:
            return None
        placings.append(placing)
    return placings


def _placing(order: _PlainOrder, default_symbol: str | None, prices: dict[bytes, Decimal]) -> Placing | None:
    if "" in (order.symbol, order.instrument, order.client_order_id):
        return None
    symbol, instrument, key = order.symbol or None, order.instrument or None, order.client_order_id or None
    if symbol is None and instrument is None:
        symbol = default_symbol
    if (symbol is None) == (instrument is None) or len(symbol or instrument or "") > MAX_ECHO:
        return None
    if key is not None and not is_key(key):
        return None
    name, raw = "limit_price", bytes(order.limit_price)
    if (other := bytes(order.price)) not in _NOT_GIVEN:
        if raw not in _NOT_GIVEN:
            return None
        name, raw = "price", other
    price = None if raw in _NOT_GIVEN else prices.get(raw) or _price(raw)
    if price is not None:
        prices[raw] = price
    elif raw not in _NOT_GIVEN:
        return None
    terms = Terms(
        symbol=symbol,
        instrument=instrument,
        quantity=order.quantity,
        side=SIDES[order.side] if order.side else Side.BUY,
        type=order.type or (OrderType.MARKET if price is None else OrderType.LIMIT),
        limit_price=price,
        time_in_force=order.time_in_force or TimeInForce.GTC,
    )
    return Placing(terms, key, name)


def _price(raw: bytes) -> Decimal | None:
    found = _PRICE.fullmatch(raw)
    return None if found is None else plain_price(Decimal((found[1] or found[2]).decode()))
