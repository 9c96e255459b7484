"""Prices and delays follow from the seed and a name alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated_exchange.house import decimals_of, fill_delay_us, reference_price
from simulated_exchange.prices import SCALE, format_price, parse_price


@pytest.mark.parametrize(("symbol", "about"), [("EURUSD", 1.08), ("USDEUR", 0.926), ("CADUSD", 0.73), ("USDCAD", 1.37)])
@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_the_built_in_pairs_are_near_what_the_world_knows_with_five_decimals(
    symbol: str, about: float, seed: int
) -> None:
    price = reference_price(seed, symbol)
    assert price / SCALE == pytest.approx(about, rel=0.015)
    assert len(format_price(price, decimals_of(symbol)).partition(".")[2]) == 5


def test_a_pair_and_its_inverse_agree() -> None:
    product = reference_price(3, "EURUSD") * reference_price(3, "USDEUR") / SCALE**2
    assert product == pytest.approx(1, abs=1e-4)


@given(st.integers(), st.text(max_size=32).filter(lambda symbol: decimals_of(symbol) == 2))
def test_every_other_symbol_has_a_price_of_two_decimals(seed: int, symbol: str) -> None:
    price = reference_price(seed, symbol)
    assert 5 * SCALE <= price <= 500 * SCALE
    assert price % (SCALE // 100) == 0
    assert reference_price(seed, symbol) == price


def test_the_seed_moves_the_prices() -> None:
    for symbol in ("EURUSD", "USDCAD", "US0378331005"):
        assert len({reference_price(seed, symbol) for seed in range(10)}) > 5


@given(st.integers(), st.text(max_size=64), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_delay_lies_in_its_range_and_is_always_the_same(seed: int, order_id: str, low: int, width: int) -> None:
    delay = fill_delay_us(seed, order_id, (low, low + width))
    assert low <= delay <= low + width
    assert fill_delay_us(seed, order_id, (low, low + width)) == delay


def test_delays_use_their_whole_range() -> None:
    drawn = {fill_delay_us(1, str(number), (1, 4)) for number in range(100)}
    assert drawn == {1, 2, 3, 4}


@given(st.decimals(0, Decimal("9999999999.99999999"), places=8))
def test_a_price_survives_being_scaled(price: Decimal) -> None:
    scaled = parse_price(f"{price:f}")
    assert Decimal(format_price(scaled, 2)) == price
    assert parse_price(format_price(scaled, 8)) == scaled


@pytest.mark.parametrize(
    ("text", "decimals", "printed"),
    [("1", 5, "1.00000"), ("1.1", 2, "1.10"), ("0.00000001", 2, "0.00000001"), ("7", 0, "7"), ("10.50", 0, "10.5")],
)
def test_prices_are_printed_with_at_least_their_decimals(text: str, decimals: int, printed: str) -> None:
    assert format_price(parse_price(text), decimals) == printed
