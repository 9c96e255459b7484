"""The house: the liquidity behind market orders. Its prices and delays follow from the seed and a name alone.

Nothing is drawn from a running generator, so neither a restart nor the order of requests changes what an order gets.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from simulated_exchange.prices import SCALE

PAIR_DECIMALS = 5
OTHER_DECIMALS = 2
# Near what the world knows; the inverse pair follows from the first, so that both agree.
BUILT_IN_PAIRS = {"EURUSD": 108_000_000, "CADUSD": 73_000_000}
INVERSE_PAIRS = {"USDEUR": "EURUSD", "USDCAD": "CADUSD"}
PAIR_TICK: int = SCALE // 10**PAIR_DECIMALS
PAIR_SHIFT_PERCENT = 1  # the seed moves a pair by up to so much either way
OTHER_CENTS = (500, 50_000)  # every other symbol costs from 5.00 to 500.00


def draw(seed: int, what: str, name: str, low: int, high: int) -> int:
    """A number from low to high (both included) that depends on the arguments only."""
    digest = blake2b(f"{seed}\x1f{what}\x1f{name}".encode(), digest_size=8).digest()
    return low + int.from_bytes(digest, "big") % (high - low + 1)


def decimals_of(symbol: str) -> int:
    """The decimals that a symbol's prices are printed with at least."""
    return PAIR_DECIMALS if symbol in BUILT_IN_PAIRS or symbol in INVERSE_PAIRS else OTHER_DECIMALS


@lru_cache(maxsize=4_096)
def reference_price(seed: int, symbol: str) -> int:
    """The scaled price at which the house fills market orders of a symbol."""
    if symbol in INVERSE_PAIRS:
        inverse = SCALE * SCALE // reference_price(seed, INVERSE_PAIRS[symbol])
        return (inverse + PAIR_TICK // 2) // PAIR_TICK * PAIR_TICK
    if symbol in BUILT_IN_PAIRS:
        middle = BUILT_IN_PAIRS[symbol]
        shift_ticks = middle * PAIR_SHIFT_PERCENT // 100 // PAIR_TICK
        return middle + draw(seed, "reference", symbol, -shift_ticks, shift_ticks) * PAIR_TICK
    return draw(seed, "reference", symbol, *OTHER_CENTS) * (SCALE // 100)


def fill_delay_us(seed: int, order_id: str, delay_range_us: tuple[int, int]) -> int:
    """How long the house takes to fill this order."""
    return draw(seed, "fill delay", order_id, *delay_range_us)
