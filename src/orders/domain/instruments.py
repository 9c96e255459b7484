"""The catalogue: what trades, and on which tick and lot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from orders.domain.values import EXACT

_CODE = re.compile(r"[A-Za-z0-9]{12}")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """`tick` is the step of prices, `lot` the step of quantities; `decimals` is how prices are printed."""

    symbol: str
    decimals: int = 2
    lot: int = 1
    tick_size: Decimal | None = None  # None: one unit of the last decimal

    @property
    def tick(self) -> Decimal:
        return self.tick_size if self.tick_size is not None else Decimal(1).scaleb(-self.decimals)

    def on_tick(self, price: Decimal) -> bool:
        return EXACT.remainder(price, self.tick) == 0

    def on_lot(self, quantity: int) -> bool:
        return quantity % self.lot == 0

    def printed(self, price: Decimal) -> str:
        """The price with the instrument's decimals (more where the price has more: never rounded)."""
        exponent = price.as_tuple().exponent
        places = max(self.decimals, -exponent if isinstance(exponent, int) else 0)
        return f"{price:.{places}f}"


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Named symbols, and a rule for every instrument code of 12 letters and digits (ISO 6166 without its check digit
    unless `checks_isin`)."""

    symbols: dict[str, Instrument]
    code_decimals: int = 2
    code_lot: int = 1
    accepts_codes: bool = True
    checks_isin: bool = False

    def named(self, symbol: str) -> Instrument | None:
        return self.symbols.get(symbol)

    def coded(self, code: str) -> Instrument | None:
        if not self.accepts_codes or not _CODE.fullmatch(code):
            return None
        if self.checks_isin and not is_isin(code):
            return None
        return Instrument(symbol=code, decimals=self.code_decimals, lot=self.code_lot)

    def find(self, name: str) -> Instrument | None:
        """By symbol or by code, for what is already accepted."""
        return self.named(name) or self.coded(name)


def catalogue_of(instruments: Iterable[Instrument], **rules: object) -> Catalogue:
    return msgspec.convert({"symbols": {i.symbol: msgspec.to_builtins(i) for i in instruments}, **rules}, Catalogue)


def is_isin(code: str) -> bool:
    """ISO 6166: two letters, nine letters or digits, and a Luhn check digit over the letters' numbers."""
    if not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", code):
        return False
    digits = "".join(str(int(character, 36)) for character in code)
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if index % 2 else 1)
        total += doubled // 10 + doubled % 10
    return total % 10 == 0


BUILT_IN = catalogue_of(Instrument(symbol=name, decimals=5) for name in ("EURUSD", "USDEUR", "CADUSD", "USDCAD"))
