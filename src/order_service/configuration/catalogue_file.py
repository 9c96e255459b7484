"""The catalogue of instruments as a TOML file: the setting INSTRUMENTS."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from order_service.bounds import MAX_DECIMALS
from orders.bounds import MAX_SYMBOL
from orders.domain.instruments import Catalogue
from orders.parameters import parsed_symbol

_SYMBOL_TERMS = ("decimals", "lot", "tick_size")


def read_catalogue(path: Path) -> Catalogue:
    """A catalogue from TOML: a table `[symbols.NAME]` with `decimals`, `lot`, `tick_size` for each symbol, and at the
    top `accepts_codes`, `code_decimals`, `code_lot`, `checks_isin`. Raises ValueError or OSError."""
    read = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    _expect_known(read, Catalogue.__struct_fields__, "")
    symbols = read.get("symbols")
    if not isinstance(symbols, dict) or not symbols:
        raise ValueError("has no [symbols.NAME] table")
    for name, terms in symbols.items():
        if not isinstance(terms, dict):
            raise ValueError(f"symbols.{name} is no table")
        _expect_usable(name)
        _expect_known(terms, _SYMBOL_TERMS, f"symbols.{name}.")
        terms["symbol"] = name
    catalogue = msgspec.convert(read, Catalogue)
    for name, one in catalogue.symbols.items():
        if not one.tick.is_finite() or one.tick <= 0 or one.lot <= 0 or not 0 <= one.decimals <= MAX_DECIMALS:
            raise ValueError(f"symbols.{name}: tick_size and lot must be above zero, decimals from 0 to {MAX_DECIMALS}")
    if catalogue.code_lot <= 0 or not 0 <= catalogue.code_decimals <= MAX_DECIMALS:
        raise ValueError(f"code_lot must be above zero, code_decimals from 0 to {MAX_DECIMALS}")
    return catalogue


def _expect_usable(name: str) -> None:
    """What could be ordered, but not asked for afterwards, is no symbol."""
    try:
        parsed_symbol(name)
    except ValueError:
        allowed = f"1 to {MAX_SYMBOL} letters A to Z or a to z, digits, and . _ / -"
        raise ValueError(f"symbols.{name!r}: a symbol has {allowed}") from None


def _expect_known(given: Mapping[str, object], known: Sequence[str], where: str) -> None:
    """A word that is spelt wrong would leave the default in force, unseen."""
    for name in given:
        if name not in known:
            raise ValueError(f"{where}{name} is not known; known are {', '.join(known)}")
