"""The fields of a request: read from JSON strictly, with every wrong one named in words that clients know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from orders.body_fields import BodyFields, text
from orders.bounds import MAX_CLIENT_ORDER_ID, MAX_ECHO, MAX_NUMBER_DIGITS, MAX_PRICE_DIGITS, MAX_QUANTITY
from orders.domain.commands import Terms
from orders.domain.errors import FieldError, InvalidOrder
from orders.domain.terms import Rules, price_errors, quantity_errors, refused_terms
from orders.domain.values import OrderType, Side, TimeInForce
from orders.parameters import KEY_CHARACTER, is_key
from orders.strict_json import decode_object, shortened

KEY_HEADER = "Idempotency-Key"
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
"""Digits can be matched in one way only, so that a text that is none is not looked at time and again."""
SIDES: dict[str | int, Side] = {"buy": Side.BUY, "sell": Side.SELL, 1: Side.BUY, -1: Side.SELL}
_PRICE = "limit_price"
_TRADED = {"symbol", "instrument"}
_PRICED = {"type", "limit_price", "price"}

Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY, description="A whole number; of a replace the new total.")]
Price = Annotated[Decimal, Meta(description="A positive decimal on the instrument's tick, as a number or a string.")]
Key = Annotated[
    str,
    Meta(
        pattern=f"^{KEY_CHARACTER}+$", min_length=1, max_length=MAX_CLIENT_ORDER_ID, description="Unique per account."
    ),
]


class PlaceBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /orders. Exactly one of `symbol` and `instrument`; `price` is the same as `limit_price`."""

    symbol: str | None = None
    instrument: str | None = None
    quantity: Quantity
    side: Literal["buy", "sell", 1, -1] | None = None
    type: OrderType | None = None
    limit_price: Price | None = None
    price: Price | None = None
    time_in_force: TimeInForce | None = None
    client_order_id: Key | None = None


class ReplaceBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PUT or PATCH of an order: what is not given stays as it is."""

    quantity: Quantity | None = None
    limit_price: Price | None = None
    price: Price | None = None


class Placing(Struct, frozen=True, gc=False):
    """What POST /orders asks for, after defaults and normalization; `price_name` is what the client calls the price."""

    terms: Terms
    key: str | None
    price_name: str = _PRICE


class NewTerms(Struct, frozen=True):
    quantity: int | None
    limit_price: Decimal | None
    price_name: str = _PRICE


def read_placing(body: bytes, key_header: str | None, rules: Rules, default_symbol: str | None) -> Placing:
    """Raises: MalformedBody; InvalidOrder with everything that is wrong, the catalogue's and venue's rules included
    where a field's type is wrong already (else those are judged later: a known key is looked up before)."""
    return placing_of(decode_object(body), key_header, rules, default_symbol)


def placing_of(given: Mapping[str, Any], key_header: str | None, rules: Rules, default_symbol: str | None) -> Placing:
    """What `read_placing` makes of a JSON object, as `strict_json` decodes it. Raises: InvalidOrder."""
    fields = _Fields(given, PlaceBody)
    symbol = fields.read("symbol", _symbol)
    instrument = fields.read("instrument", _instrument)
    if symbol is not None and instrument is not None:
        fields.refuse("instrument", "Give either `symbol` or `instrument`, not both")
    if symbol is None and instrument is None and not fields.is_wrong("symbol", "instrument"):
        symbol = default_symbol
        if symbol is None:
            fields.read("symbol", _symbol, required=True)
    quantity = fields.read("quantity", _quantity, required=True)
    side = fields.read("side", _side)
    order_type = fields.read("type", _order_type)
    price = fields.read_price()
    time_in_force = fields.read("time_in_force", _time_in_force)
    key = _one_key(fields, key_header)
    if order_type is None:
        order_type = OrderType.MARKET if price is None else OrderType.LIMIT
    terms = Terms(
        symbol=symbol,
        instrument=instrument,
        quantity=1 if quantity is None else quantity,
        side=side or Side.BUY,
        type=order_type,
        limit_price=price,
        time_in_force=time_in_force or TimeInForce.GTC,
    )
    if fields.errors:
        fields.add_rules(refused_terms(terms, rules))
        raise fields.refusal()
    return Placing(terms, key, fields.price_name)


def read_new_terms(body: bytes) -> NewTerms:
    """Raises: MalformedBody, InvalidOrder."""
    fields = _Fields(decode_object(body), ReplaceBody)
    quantity = fields.read("quantity", _quantity)
    price = fields.read_price()
    if not fields.errors and quantity is None and price is None:
        fields.refuse("quantity", "Give a new `quantity`, a new `limit_price`, or both")
    if fields.errors:
        fields.add_rules((*_errors_of(quantity, quantity_errors), *_errors_of(price, price_errors)))
        raise fields.refusal()
    return NewTerms(quantity, price, fields.price_name)


def named_as_given(refused: InvalidOrder, price_name: str) -> InvalidOrder:
    """The refusal with the price's field under the name that the client used."""
    return InvalidOrder(_named_as_given(refused.errors, price_name))


def _named_as_given(errors: Iterable[FieldError], price_name: str) -> tuple[FieldError, ...]:
    return tuple(
        msgspec.structs.replace(error, field=price_name) if error.field == _PRICE else error for error in errors
    )


def _errors_of(value: Any, rule: Callable[[Any, None], Iterable[FieldError]]) -> Iterable[FieldError]:
    return () if value is None else rule(value, None)


class _Fields(BodyFields):
    price_name = _PRICE

    def read_price(self) -> Decimal | None:
        price: Decimal | None = self.read("price", _price)
        limit_price: Decimal | None = self.read("limit_price", _price)
        if price is not None and limit_price is not None:
            self.refuse("price", "Give either `price` or `limit_price`, not both")
        if price is None:
            return limit_price
        self.price_name = "price"
        return price

    def add_rules(self, errors: tuple[FieldError, ...]) -> None:
        """What the rules say of fields that are right by themselves, and do not hang on one that is wrong."""
        wrong = {error.field for error in self.errors}
        for together in (_TRADED, _PRICED):
            if wrong & together:
                wrong |= together
        self.errors += [error for error in _named_as_given(errors, self.price_name) if error.field not in wrong]

    def refusal(self) -> InvalidOrder:
        return InvalidOrder(self.ordered_errors())


def _symbol(value: Any) -> str:
    return _name(value, "Symbol")


def _instrument(value: Any) -> str:
    return _name(value, "Instrument")


def _name(value: Any, what: str) -> str:
    name = text(value)
    if len(name) > MAX_ECHO:
        raise ValueError(f"{what}: {shortened(name)} is not supported")
    return name


def _quantity(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("Quantity must be an integer")
    return value


def _side(value: Any) -> Side:
    if isinstance(value, str | int) and not isinstance(value, bool) and value in SIDES:
        return SIDES[value]
    raise ValueError("Side must be buy or sell (or 1 or -1)")


def _order_type(value: Any) -> OrderType:
    member: OrderType = _member(value, OrderType, "Type must be market or limit")
    return member


def _time_in_force(value: Any) -> TimeInForce:
    member: TimeInForce = _member(value, TimeInForce, "Time in force must be gtc, day, ioc or fok")
    return member


def _member(value: Any, kind: Any, message: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        raise ValueError(message) from None


def _price(value: Any) -> Decimal:
    if isinstance(value, str) and len(value) <= MAX_NUMBER_DIGITS and _DECIMAL.fullmatch(value):
        value = Decimal(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueError("Limit price must be a decimal number")
    return plain_price(value)


def plain_price(price: Decimal) -> Decimal:
    """The same number without an exponent or zeros at its end, so that it is stored and shown in one form."""
    sign, digits, exponent = price.as_tuple()
    assert isinstance(exponent, int)
    if not price:
        return Decimal(0)
    if 0 < exponent <= MAX_PRICE_DIGITS:
        return Decimal((sign, (*digits, *(0,) * exponent), 0))
    kept = len(digits)
    while exponent < 0 and digits[kept - 1] == 0:
        kept, exponent = kept - 1, exponent + 1
    return Decimal((sign, digits[:kept], exponent))


def _client_order_id(value: Any) -> str:
    if not is_key(text(value)):
        raise ValueError(f"A key must have 1 to {MAX_CLIENT_ORDER_ID} characters from ! to ~")
    return str(value)


def _one_key(fields: _Fields, header: str | None) -> str | None:
    """The key, from body or header: they are the same thing."""
    key: str | None = fields.read("client_order_id", _client_order_id)
    if header is None:
        return key
    try:
        named = _client_order_id(header)
    except ValueError as error:
        fields.refuse(KEY_HEADER, str(error))
        return key
    if key is not None and key != named:
        fields.refuse(KEY_HEADER, f"`{KEY_HEADER}` and `client_order_id` differ")
    return named
