"""What the fields of a body mean, and what is said of wrong ones."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.api.order_fields import PlaceBody, Placing, read_new_terms, read_placing
from orders.domain.errors import InvalidOrder
from orders.domain.terms import Rules
from orders.domain.values import OrderType, Side, TimeInForce
from orders.request_errors import MalformedBody

LEAST = {"symbol": "EURUSD", "quantity": 10}


def read(body: dict[str, Any] | str | bytes, key: str | None = None, default: str | None = None) -> Placing:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return read_placing(raw, key, Rules(), default)


def errors_of(body: dict[str, Any] | str, key: str | None = None) -> dict[str, str]:
    with pytest.raises(InvalidOrder) as refused:
        read(body, key)
    return {error.field: error.message for error in refused.value.errors}


def test_the_least_body_is_a_market_order_to_buy_until_canceled() -> None:
    placing = read(LEAST)
    assert placing.terms.side is Side.BUY
    assert placing.terms.type is OrderType.MARKET
    assert placing.terms.time_in_force is TimeInForce.GTC
    assert placing.key is None


def test_a_price_makes_it_a_limit_order() -> None:
    assert read({**LEAST, "price": 1.1}).terms.type is OrderType.LIMIT


@pytest.mark.parametrize(
    ("given_side", "side"), [("buy", Side.BUY), ("sell", Side.SELL), (1, Side.BUY), (-1, Side.SELL), (None, Side.BUY)]
)
def test_sides_are_words_or_signs(given_side: Any, side: Side) -> None:
    assert read({**LEAST, "side": given_side}).terms.side is side


@pytest.mark.parametrize("number", ["1.10", '"1.10"', "1.1", "11e-1", '"1.100"', '"+1.1"'])
def test_a_price_is_exact_however_it_is_written(number: str) -> None:
    body = f'{{"symbol": "EURUSD", "quantity": 1, "limit_price": {number}}}'
    assert read(body).terms == read({**LEAST, "quantity": 1, "price": "1.1"}).terms


def test_a_price_does_not_pass_through_a_float() -> None:
    body = '{"symbol": "EURUSD", "quantity": 1, "price": 0.1000000000000000055511151231257827}'
    assert read(body).terms.limit_price == Decimal("0.1000000000000000055511151231257827")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"symbol": 5}, "symbol", "Input should be a valid string"),
        ({"symbol": None}, "symbol", "Input should be a valid string"),
        ({"instrument": "US0378331005"}, "instrument", "Give either `symbol` or `instrument`, not both"),
        ({"quantity": None}, "quantity", "Quantity must be an integer"),
        ({"quantity": 10.5}, "quantity", "Quantity must be an integer"),
        ({"quantity": 10.0}, "quantity", "Quantity must be an integer"),
        ({"quantity": "10"}, "quantity", "Quantity must be an integer"),
        ({"quantity": True}, "quantity", "Quantity must be an integer"),
        ({"side": "hold"}, "side", "Side must be buy or sell (or 1 or -1)"),
        ({"side": True}, "side", "Side must be buy or sell (or 1 or -1)"),
        ({"side": 2}, "side", "Side must be buy or sell (or 1 or -1)"),
        ({"side": ["buy"]}, "side", "Side must be buy or sell (or 1 or -1)"),
        ({"type": "stop"}, "type", "Type must be market or limit"),
        ({"time_in_force": "gtd"}, "time_in_force", "Time in force must be gtc, day, ioc or fok"),
        ({"price": "1_0"}, "price", "Limit price must be a decimal number"),
        ({"price": "NaN"}, "price", "Limit price must be a decimal number"),
        ({"price": "١.١"}, "price", "Limit price must be a decimal number"),
        ({"price": True}, "price", "Limit price must be a decimal number"),
        ({"price": 1, "limit_price": 1}, "price", "Give either `price` or `limit_price`, not both"),
        ({"colour": "red"}, "colour", "Unknown field `colour`"),
        ({"client_order_id": ""}, "client_order_id", "A key must have 1 to 128 characters from ! to ~"),
        ({"client_order_id": "a b"}, "client_order_id", "A key must have 1 to 128 characters from ! to ~"),
        ({"client_order_id": "k" * 129}, "client_order_id", "A key must have 1 to 128 characters from ! to ~"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_wrong(change: dict[str, Any], field: str, message: str) -> None:
    assert errors_of({**LEAST, **change}) == {field: message}


def test_every_wrong_field_is_listed_and_the_rules_judge_the_rest() -> None:
    errors = errors_of({"symbol": "XXX", "quantity": "1", "side": "hold", "type": "limit", "colour": 1})
    assert list(errors) == ["symbol", "quantity", "side", "limit_price", "colour"]
    assert errors["symbol"] == "Symbol: XXX is not supported"


def test_the_header_and_the_field_are_the_same_key() -> None:
    assert read(LEAST, key="k-1").key == "k-1"
    assert read({**LEAST, "client_order_id": "k-1"}, key="k-1").key == "k-1"
    assert "Idempotency-Key" in errors_of({**LEAST, "client_order_id": "k-1"}, key="k-2")
    assert "Idempotency-Key" in errors_of(LEAST, key="k 1")


def test_a_default_symbol_fills_in_for_a_missing_one_only() -> None:
    assert read({"quantity": 1}, default="USDCAD").terms.symbol == "USDCAD"
    assert read(LEAST, default="USDCAD").terms.symbol == "EURUSD"
    assert read({"instrument": "US0378331005", "quantity": 1}, default="USDCAD").terms.symbol is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"quantity": NaN}',
        b'{"price": Infinity}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        read(body)


@pytest.mark.parametrize("digits", [19, 101, 4_301, 60_000])
def test_a_number_of_any_length_is_a_wrong_field_and_no_malformed_body(digits: int) -> None:
    number = "9" * digits
    assert errors_of(f'{{"symbol": "EURUSD", "quantity": "1", "price": {number}}}') == {
        "quantity": "Quantity must be an integer",
        "price": "Limit price must have at most 18 digits",
    }
    assert errors_of(f'{{"symbol": "EURUSD", "quantity": -{number}, "other": {number}}}') == {
        "quantity": "Quantity must be greater than zero",
        "other": "Unknown field `other`",
    }


# A grammar that can split digits in several ways would try them all: minutes for each of these.
@pytest.mark.parametrize("price", ["1" * 64_000 + "x", "1." + "1" * 64_000 + "x", "." + "1" * 64_000 + "x"])
def test_a_long_text_that_is_no_price_is_refused_at_once(price: str) -> None:
    refused = {"price": "Limit price must be a decimal number"}
    assert errors_of({**LEAST, "price": price}) == refused
    with pytest.raises(InvalidOrder) as of_a_replace:
        read_new_terms(json.dumps({"price": price}).encode())
    assert {error.field: error.message for error in of_a_replace.value.errors} == refused


@pytest.mark.parametrize("price", ["1." + "0" * 98, "0." + "0" * 96 + "10"])
def test_a_price_is_looked_at_up_to_its_hundredth_character(price: str) -> None:
    for written in (price, f'"{price}"'):
        body = f'{{"symbol": "EURUSD", "quantity": 1, "price": {written}}}'
        assert read(body).terms.limit_price == Decimal(price)
        longer = body.replace(price, price + "0")
        assert errors_of(longer) == {"price": "Limit price must be a decimal number"}


@pytest.mark.parametrize("exponent", [19, 101])
def test_an_exponent_of_any_length_is_a_wrong_price(exponent: int) -> None:
    number = "1e" + "9" * exponent
    assert errors_of(f'{{"symbol": "EURUSD", "quantity": 1, "price": {number}}}') == {
        "price": "Limit price must be a decimal number"
    }


def test_the_rules_name_the_price_as_the_client_does() -> None:
    wrong = {**LEAST, "quantity": "1", "price": "0.000001"}
    assert set(errors_of(wrong)) == {"quantity", "price"}
    assert set(errors_of({**wrong, "limit_price": wrong["price"], "price": None})) == {"quantity", "limit_price"}
    with pytest.raises(InvalidOrder) as refused:
        read_new_terms(b'{"quantity": "1", "price": -1}')
    assert [error.field for error in refused.value.errors] == ["quantity", "price"]


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null"])
def test_the_body_must_be_an_object(body: str) -> None:
    assert errors_of(body) == {"": "The body must be a JSON object"}


def test_a_key_that_is_given_twice_is_refused() -> None:
    errors = errors_of('{"symbol": "EURUSD", "quantity": 1, "quantity": 2}')
    assert errors == {"quantity": "`quantity` is given twice"}


def test_new_terms_need_one_of_them() -> None:
    with pytest.raises(InvalidOrder, match="Give a new `quantity`"):
        read_new_terms(b"{}")
    assert read_new_terms(b'{"price": "1.5"}').limit_price == Decimal("1.5")
    with pytest.raises(InvalidOrder, match="Unknown field `symbol`"):
        read_new_terms(b'{"quantity": 1, "symbol": "EURUSD"}')


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from([*PlaceBody.__struct_fields__, "other"]), anything))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    with suppress(InvalidOrder, MalformedBody):
        placing = read(json.dumps(body))
        assert placing.terms.quantity == body["quantity"]


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with pytest.raises((InvalidOrder, MalformedBody)):
        read(body)
