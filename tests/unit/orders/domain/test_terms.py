"""Which terms are acceptable, in the texts that clients know."""

from decimal import Decimal
from typing import Any

import pytest

from orders.domain import commands as c
from orders.domain.commands import Terms
from orders.domain.instruments import BUILT_IN, Catalogue, Instrument
from orders.domain.terms import Rules, refused_terms
from orders.domain.values import Capabilities, Evidence, OrderType, TimeInForce
from tests.support.given import given
from tests.support.order_events import placed, replaced

LIMIT = OrderType.LIMIT
ZERO_PRICE = "Limit price must be greater than zero"
TICK = "Limit price must be a multiple of the tick size 0.00001"
DIGITS = "Limit price must have at most 18 digits"


def told(rules: Rules | None = None, **terms: Any) -> list[tuple[str, str]]:
    asked = Terms(**{"quantity": 10, **({} if "instrument" in terms else {"symbol": "EURUSD"}), **terms})
    return [(error.field, error.message) for error in refused_terms(asked, rules or Rules())]


def priced(price: str, **more: Any) -> list[str]:
    return [text for _, text in told(type=LIMIT, limit_price=Decimal(price), **more)]


@pytest.mark.parametrize("symbol", ["EURUSD", "USDEUR", "CADUSD", "USDCAD"])
def test_the_built_in_symbols_trade(symbol: str) -> None:
    assert told(symbol=symbol) == []


@pytest.mark.parametrize("symbol", ["", "X", "eurusd", " EURUSD", "US0378331005"])
def test_no_other_symbol_trades(symbol: str) -> None:
    assert told(symbol=symbol) == [("symbol", f"Symbol: {symbol} is not supported")]


def test_an_instrument_of_12_letters_and_digits_trades() -> None:
    assert told(instrument="US0378331005") == []
    assert told(instrument="abcdefghij12") == []


@pytest.mark.parametrize("code", ["EURUSD", "US037833100", "US03783310055", "US03783310-5", "ÜS0378331005", "", None])
def test_no_other_instrument_trades(code: str | None) -> None:
    assert told(instrument=code) == [("instrument", f"Instrument: {code} is not supported")]


def test_an_order_names_one_of_the_two() -> None:
    both = [("instrument", "Give either `symbol` or `instrument`, not both")]
    assert told(symbol="EURUSD", instrument="US0378331005") == both


@pytest.mark.parametrize("quantity", [1, 2, 1_000_000_000])
def test_quantities_from_1_to_a_milliard(quantity: int) -> None:
    assert told(quantity=quantity) == []


@pytest.mark.parametrize("quantity", [0, -1, -(10**30)])
def test_a_quantity_is_greater_than_zero(quantity: int) -> None:
    assert told(quantity=quantity) == [("quantity", "Quantity must be greater than zero")]


@pytest.mark.parametrize("quantity", [1_000_000_001, 10**30])
def test_a_quantity_is_at_most_a_milliard(quantity: int) -> None:
    assert told(quantity=quantity) == [("quantity", "Quantity must be at most 1000000000")]


def test_a_market_order_has_no_price() -> None:
    text = "Providing a `limit_price` is prohibited for type `market`"
    assert told(limit_price=Decimal("1.1")) == [("limit_price", text)]
    assert told(limit_price=Decimal("NaN")) == [("limit_price", text)]


def test_a_limit_order_has_a_price() -> None:
    assert told(type=LIMIT) == [("limit_price", "Attribute `limit_price` is required for type `limit`")]


@pytest.mark.parametrize("price", ["1", "1.1", "1.10000", "0.00001", "1.100", "1E+5", "9999999999999.99999"])
def test_a_positive_price_on_the_tick(price: str) -> None:
    assert priced(price) == []


@pytest.mark.parametrize("price", ["0", "-0", "0E-30", "-1", "-1E+30", "NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_price_is_greater_than_zero(price: str) -> None:
    assert priced(price) == [ZERO_PRICE]


@pytest.mark.parametrize("price", ["0.000001", "1.000005", "1.100001"])
def test_a_price_is_on_the_tick(price: str) -> None:
    assert priced(price) == [TICK]


@pytest.mark.parametrize("price", ["1E+18", "1E+30", "1E-30", "1E+999999", "1E-999999", "1234567890123456789"])
def test_a_price_has_no_more_digits_than_sums_can_bear(price: str) -> None:
    assert priced(price) == [DIGITS]


@pytest.mark.parametrize("price", ["100000000000000000", "1E+17"])
def test_18_digits_are_borne(price: str) -> None:
    assert priced(price) == []


@pytest.mark.parametrize("price", ["0.123456789012345678", "123456789012345678"])
def test_the_digits_are_those_on_both_sides_of_the_point(price: str) -> None:
    fine = Catalogue(symbols={"EURUSD": Instrument(symbol="EURUSD", tick_size=Decimal("1E-18"))})
    assert priced(price, rules=Rules(catalogue=fine)) == []
    assert priced(price + "9" if "." in price else price + ".9", rules=Rules(catalogue=fine)) == [DIGITS]


def test_an_instruments_prices_have_2_decimals() -> None:
    assert priced("1.25", instrument="US0378331005") == []
    text = "Limit price must be a multiple of the tick size 0.01"
    assert priced("1.255", instrument="US0378331005") == [text]


ODD = Catalogue(symbols={"ODD": Instrument(symbol="ODD", decimals=3, lot=100, tick_size=Decimal("0.025"))})


def test_ticks_and_lots_are_the_catalogues() -> None:
    rules = Rules(catalogue=ODD)
    assert told(rules, symbol="ODD", quantity=300, type=LIMIT, limit_price=Decimal("1.075")) == []
    assert told(rules, symbol="ODD", quantity=250, type=LIMIT, limit_price=Decimal("1.08")) == [
        ("quantity", "Quantity must be a multiple of the lot size 100"),
        ("limit_price", "Limit price must be a multiple of the tick size 0.025"),
    ]


def test_a_tick_is_told_without_an_exponent() -> None:
    tiny = Catalogue(symbols={"T": Instrument(symbol="T", decimals=8)})
    assert priced("0.000000001", rules=Rules(catalogue=tiny), symbol="T") == [
        "Limit price must be a multiple of the tick size 0.00000001"
    ]


def test_what_does_not_trade_is_judged_by_the_general_rules() -> None:
    refused = told(symbol="NOPE", quantity=0, type=LIMIT, limit_price=Decimal("-1"))
    assert [field for field, _ in refused] == ["symbol", "quantity", "limit_price"]
    assert told(symbol="NOPE", type=LIMIT, limit_price=Decimal("1.0000001")) == [
        ("symbol", "Symbol: NOPE is not supported")
    ]


def test_what_the_venue_does_not_take_is_refused_on_placing() -> None:
    plain = Rules(
        venue=Capabilities(
            order_types=frozenset({OrderType.MARKET}), times_in_force=frozenset({TimeInForce.GTC, TimeInForce.DAY})
        )
    )
    assert told(plain, time_in_force=TimeInForce.DAY) == []
    assert told(plain, type=LIMIT, limit_price=Decimal(1), time_in_force=TimeInForce.FOK) == [
        ("type", "The exchange does not take orders of type `limit`"),
        ("time_in_force", "The exchange does not take orders of time in force `fok`"),
    ]


def test_an_order_whose_symbol_left_the_catalogue_can_still_be_replaced() -> None:
    gone = given(placed(10, limit="1.10")).trading(Catalogue(symbols={}))
    gone.when(c.ReplaceOrder, quantity=20, limit_price=Decimal("1.2345678")).then(
        replaced(20, "1.2345678", evidence=Evidence.NEVER_PLACED, request_id=None)
    )


def test_the_built_in_catalogue_is_the_default() -> None:
    assert Rules().catalogue is BUILT_IN
