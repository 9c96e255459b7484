"""Which terms are acceptable: the rules of the catalogue and of the venue, each with the text that clients know."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from orders.bounds import MAX_PRICE_DIGITS, MAX_QUANTITY
from orders.domain.commands import Terms
from orders.domain.errors import FieldError
from orders.domain.instruments import BUILT_IN, Catalogue, Instrument
from orders.domain.values import Capabilities, OrderType


class Rules(Struct, frozen=True, kw_only=True):
    """What `decide` judges by: what trades, and what the venue can do."""

    catalogue: Catalogue = BUILT_IN
    venue: Capabilities = Capabilities()


def refused_terms(terms: Terms, rules: Rules) -> tuple[FieldError, ...]:
    """Everything that is wrong with the terms; empty where they are acceptable."""
    instrument = instrument_of(terms, rules.catalogue)
    errors = [] if instrument is not None else [_unsupported(terms)]
    if terms.symbol is not None and terms.instrument is not None:
        errors.append(FieldError("instrument", "Give either `symbol` or `instrument`, not both"))
    errors += quantity_errors(terms.quantity, instrument)
    errors += price_presence_errors(terms.type, terms.limit_price)
    if terms.type is OrderType.LIMIT and terms.limit_price is not None:
        errors += price_errors(terms.limit_price, instrument)
    if terms.type not in rules.venue.order_types:
        errors.append(FieldError("type", f"The exchange does not take orders of type `{terms.type.value}`"))
    if terms.time_in_force not in rules.venue.times_in_force:
        tif = terms.time_in_force.value
        errors.append(FieldError("time_in_force", f"The exchange does not take orders of time in force `{tif}`"))
    return tuple(errors)


def instrument_of(terms: Terms, catalogue: Catalogue) -> Instrument | None:
    """`symbol` takes the catalogue's named symbols only, `instrument` 12-character codes only."""
    if terms.symbol is not None:
        return catalogue.named(terms.symbol)
    return catalogue.coded(terms.instrument or "")


def _unsupported(terms: Terms) -> FieldError:
    if terms.symbol is not None:
        return FieldError("symbol", f"Symbol: {terms.symbol} is not supported")
    return FieldError("instrument", f"Instrument: {terms.instrument} is not supported")


def quantity_errors(quantity: int, instrument: Instrument | None) -> Iterator[FieldError]:
    if quantity <= 0:
        yield FieldError("quantity", "Quantity must be greater than zero")
    elif quantity > MAX_QUANTITY:
        yield FieldError("quantity", f"Quantity must be at most {MAX_QUANTITY}")
    elif instrument is not None and not instrument.on_lot(quantity):
        yield FieldError("quantity", f"Quantity must be a multiple of the lot size {instrument.lot}")


def price_presence_errors(order_type: OrderType, price: Decimal | None) -> Iterator[FieldError]:
    if order_type is OrderType.MARKET and price is not None:
        yield FieldError("limit_price", "Providing a `limit_price` is prohibited for type `market`")
    if order_type is OrderType.LIMIT and price is None:
        yield FieldError("limit_price", "Attribute `limit_price` is required for type `limit`")


def price_errors(price: Decimal, instrument: Instrument | None) -> Iterator[FieldError]:
    if not price.is_finite() or price <= 0:
        yield FieldError("limit_price", "Limit price must be greater than zero")
    elif written_digits(price) > MAX_PRICE_DIGITS:
        yield FieldError("limit_price", f"Limit price must have at most {MAX_PRICE_DIGITS} digits")
    elif instrument is not None and not instrument.on_tick(price):
        yield FieldError("limit_price", f"Limit price must be a multiple of the tick size {instrument.tick:f}")


def written_digits(price: Decimal) -> int:
    """Digits it takes to write a finite price out: before the point, and behind it."""
    _, digits, exponent = price.as_tuple()
    assert isinstance(exponent, int)
    return max(len(digits) + max(exponent, 0), -exponent)
