"""The settings of how often an account may ask, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from order_service.bounds import RATE_WHERE_REQUIRED

RATE_NAMES = ("RATE_LIMIT_ORDERS_PER_S", "RATE_LIMIT_READS_PER_S")
_LEAST, _MOST = 0.01, 1e6

Refuse = Callable[[str, str], None]
"""Takes a setting's name and what is wrong with it."""


class Rates(Struct, frozen=True):
    """Requests a second of one account at one API process; None: any number."""

    orders_per_s: float | None = None
    reads_per_s: float | None = None


def checked_rates(raw: Mapping[str, str], refuse: Refuse, *, required: bool) -> Rates:
    """`required`: nobody is served without a credential. Without a word there is no limit in local mode."""
    default = RATE_WHERE_REQUIRED if required else None
    return Rates(*(_rate(raw, name, refuse, default) for name in RATE_NAMES))


def _rate(raw: Mapping[str, str], name: str, refuse: Refuse, default: float | None) -> float | None:
    given = raw[name]
    try:
        rate = float(given) if given else default
    except ValueError:
        rate = float("nan")
    if not rate:
        return None
    if not _LEAST <= rate <= _MOST:
        refuse(name, f"{given!r} is not a number from {_LEAST:g} to {_MOST:g}, or 0 for no limit")
        return None
    return rate
