"""The catalogue: what trades, on which tick and lot, and how prices are printed."""

from decimal import Decimal

import msgspec
import pytest

from orders.domain.instruments import BUILT_IN, Catalogue, Instrument, catalogue_of, is_isin

APPLE = "US0378331005"


@pytest.mark.parametrize(
    "isin", [APPLE, "US5949181045", "DE0007164600", "GB0002634946", "AU0000XVGZA3", "JP3633400001", "CH0012032048"]
)
def test_a_true_isin(isin: str) -> None:
    assert is_isin(isin)


@pytest.mark.parametrize("digit", "012346789")
def test_an_isin_with_another_check_digit_is_none(digit: str) -> None:
    assert not is_isin(APPLE[:-1] + digit)


@pytest.mark.parametrize(
    "text",
    ["", "US037833100", APPLE + "0", APPLE.lower(), "U10378331005", "US037833100X", "US03783310٠5", f"{APPLE}\n"],
)
def test_other_texts_are_no_isin(text: str) -> None:
    assert not is_isin(text)


def test_swapped_neighbours_are_found_by_the_check_digit() -> None:
    assert not is_isin("US0373831005")


def test_a_code_trades_without_its_check_digit_unless_the_catalogue_asks_for_it() -> None:
    wrong = APPLE[:-1] + "6"
    strict = Catalogue(symbols={}, checks_isin=True)
    assert BUILT_IN.coded(wrong) == Instrument(symbol=wrong, decimals=2)
    assert strict.coded(wrong) is None
    assert strict.coded(APPLE) == Instrument(symbol=APPLE, decimals=2)


def test_a_catalogue_may_trade_no_codes_or_its_own_way() -> None:
    assert Catalogue(symbols={}, accepts_codes=False).coded(APPLE) is None
    own = Catalogue(symbols={}, code_decimals=4, code_lot=5).coded(APPLE)
    assert own is not None
    assert (own.tick, own.lot) == (Decimal("0.0001"), 5)


def test_a_symbol_is_no_code_and_a_code_no_symbol() -> None:
    assert BUILT_IN.named(APPLE) is None
    assert BUILT_IN.coded("EURUSD") is None
    found = [BUILT_IN.find(name) for name in ("EURUSD", APPLE, "NOPE")]
    assert [instrument and instrument.symbol for instrument in found] == ["EURUSD", APPLE, None]


@pytest.mark.parametrize("symbol", ["EURUSD", "USDEUR", "CADUSD", "USDCAD"])
def test_the_built_in_symbols_have_5_decimals(symbol: str) -> None:
    assert BUILT_IN.symbols[symbol].tick == Decimal("0.00001")
    assert len(BUILT_IN.symbols) == 4


def test_a_catalogue_is_made_of_instruments_and_rules() -> None:
    made = catalogue_of([Instrument(symbol="A", tick_size=Decimal("0.05"))], code_decimals=3)
    assert made == Catalogue(symbols={"A": Instrument(symbol="A", tick_size=Decimal("0.05"))}, code_decimals=3)
    with pytest.raises(msgspec.ValidationError):
        catalogue_of([], code_decimals="three")


@pytest.mark.parametrize(
    ("tick", "price", "on_it"),
    [
        ("0.00001", "1.10000", True),
        ("0.00001", "1.100001", False),
        ("0.05", "1.15", True),
        ("0.05", "1.12", False),
        ("0.25", "123456789012345.75", True),
        ("5", "15", True),
        ("5", "1E+1", True),
        ("5", "12", False),
        ("1E-18", "0.123456789012345678", True),
    ],
)
def test_prices_step_by_the_tick(tick: str, price: str, on_it: bool) -> None:
    assert Instrument(symbol="A", tick_size=Decimal(tick)).on_tick(Decimal(price)) is on_it


def test_quantities_step_by_the_lot() -> None:
    hundreds = Instrument(symbol="A", lot=100)
    assert [quantity for quantity in (1, 99, 100, 150, 200) if hundreds.on_lot(quantity)] == [100, 200]


@pytest.mark.parametrize(
    ("decimals", "price", "printed"),
    [
        (5, "1.1", "1.10000"),
        (2, "1.1", "1.10"),
        (2, "1.123", "1.123"),
        (0, "15", "15"),
        (2, "1E+3", "1000.00"),
        (2, "1E-7", "0.0000001"),
        (2, "123456789012345.67", "123456789012345.67"),
    ],
)
def test_prices_are_printed_with_the_instruments_decimals_and_never_rounded(
    decimals: int, price: str, printed: str
) -> None:
    assert Instrument(symbol="A", decimals=decimals).printed(Decimal(price)) == printed
