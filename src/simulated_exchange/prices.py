"""Prices as integers of 10**-8, so that they compare and hash exactly; strings on the wire."""

from __future__ import annotations

from simulated_exchange.bounds import PRICE_DECIMALS

SCALE: int = 10**PRICE_DECIMALS


def parse_price(text: str) -> int:
    """The scaled integer of a decimal string that the wire's pattern has admitted."""
    whole, _, fraction = text.partition(".")
    return int(whole) * SCALE + int(fraction.ljust(PRICE_DECIMALS, "0"))


def format_price(scaled: int, decimals: int) -> str:
    """The string with at least so many decimals, and more only where the price has them."""
    whole, fraction = divmod(scaled, SCALE)
    digits = f"{fraction:0{PRICE_DECIMALS}d}".rstrip("0").ljust(decimals, "0")
    return f"{whole}.{digits}" if digits else str(whole)
