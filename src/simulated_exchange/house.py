"""The house: the liquidity behind market orders. Its prices and delays follow from the seed, a name and the time alone.

Nothing is drawn from a running generator, so neither a restart nor the order of requests changes what an order gets.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from simulated_exchange.prices import SCALE
from simulated_exchange.protocol import Side

PAIR_DECIMALS = 5
OTHER_DECIMALS = 2
# Near what the world knows; the inverse pair follows from the first, so that both agree.
BUILT_IN_PAIRS = {"EURUSD": 108_000_000, "CADUSD": 73_000_000}
INVERSE_PAIRS = {"USDEUR": "EURUSD", "USDCAD": "CADUSD"}
PAIR_TICK: int = SCALE // 10**PAIR_DECIMALS
OTHER_TICK: int = SCALE // 10**OTHER_DECIMALS
PAIR_SHIFT_PERCENT = 1  # the seed moves a pair by up to so much either way
OTHER_CENTS = (500, 50_000)  # every other symbol starts from 5.00 to 500.00
HALF_SPREAD_TICKS = 1  # who buys pays so much more than the reference price, who sells gets so much less

# The walk is a sum of waves of chance, each four times as slow and twice as high as the last, as a random walk's are.
SECOND_US = 1_000_000
WAVES = 9  # the slowest takes 4**8 s, some 18 hours, from one of its points to the next
WALK_SPAN = 40_000  # one part in so many of the price: the first wave's height; all together reach 511 of them, 1.3 %


class House:
    """What market orders meet. Where it is closed, they get what the book has and no more."""

    def __init__(self, seed: int, fill_delay_range_us: tuple[int, int], *, is_open: bool = True) -> None:
        self.is_open = is_open  # may be changed at any time
        self._seed = seed
        self._fill_delay_range_us = fill_delay_range_us

    def price(self, symbol: str, side: Side, at: int) -> int:
        """What somebody on this side trades at: scaled, above zero."""
        spread = HALF_SPREAD_TICKS * tick_of(symbol)
        return reference_price(self._seed, symbol, at) + (spread if side == "buy" else -spread)

    def fill_delay_us(self, order_id: str) -> int:
        return fill_delay_us(self._seed, order_id, self._fill_delay_range_us)


def draw(seed: int, what: str, name: str, low: int, high: int) -> int:
    """A number from low to high (both included) that depends on the arguments only."""
    digest = blake2b(f"{seed}\x1f{what}\x1f{name}".encode(), digest_size=8).digest()
    return low + int.from_bytes(digest, "big") % (high - low + 1)


def decimals_of(symbol: str) -> int:
    """The decimals that a symbol's prices are printed with at least."""
    return PAIR_DECIMALS if symbol in BUILT_IN_PAIRS or symbol in INVERSE_PAIRS else OTHER_DECIMALS


def tick_of(symbol: str) -> int:
    return PAIR_TICK if decimals_of(symbol) == PAIR_DECIMALS else OTHER_TICK


def reference_price(seed: int, symbol: str, at: int) -> int:
    """The scaled price around which the house trades a symbol at a time; it moves once a second at most."""
    return _price_in_second(seed, symbol, at // SECOND_US)


@lru_cache(maxsize=4_096)
def _price_in_second(seed: int, symbol: str, second: int) -> int:
    if symbol in INVERSE_PAIRS:
        inverse = SCALE * SCALE // _price_in_second(seed, INVERSE_PAIRS[symbol], second)
        return _on_tick(inverse, PAIR_TICK)
    middle = _middle(seed, symbol)
    return _on_tick(middle + middle * _walk(seed, symbol, second) // (WALK_SPAN * SCALE), tick_of(symbol))


@lru_cache(maxsize=4_096)
def _middle(seed: int, symbol: str) -> int:
    """The price that a symbol walks around."""
    if symbol in BUILT_IN_PAIRS:
        middle = BUILT_IN_PAIRS[symbol]
        shift_ticks = middle * PAIR_SHIFT_PERCENT // 100 // PAIR_TICK
        return middle + draw(seed, "reference", symbol, -shift_ticks, shift_ticks) * PAIR_TICK
    return draw(seed, "reference", symbol, *OTHER_CENTS) * OTHER_TICK


def _walk(seed: int, symbol: str, second: int) -> int:
    """How far a symbol is from its middle: in heights of the first wave, scaled. Whole numbers only, so that every
    machine comes to the same."""
    total = 0
    for wave in range(WAVES):
        period = 4**wave
        point, into = divmod(second, period)
        left, right = _wave_at(seed, symbol, wave, point), _wave_at(seed, symbol, wave, point + 1)
        total += (left + (right - left) * into // period) * 2**wave
    return total


@lru_cache(maxsize=65_536)  # every wave of thousands of symbols
def _wave_at(seed: int, symbol: str, wave: int, point: int) -> int:
    return draw(seed, f"wave {wave} {point}", symbol, -SCALE, SCALE)


def _on_tick(price: int, tick: int) -> int:
    return (price + tick // 2) // tick * tick


def fill_delay_us(seed: int, order_id: str, delay_range_us: tuple[int, int]) -> int:
    """How long the house takes to fill this order."""
    return draw(seed, "fill delay", order_id, *delay_range_us)
