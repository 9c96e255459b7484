"""The catalogue as GET /instruments shows it."""

from __future__ import annotations

from msgspec import Struct

from orders.domain.instruments import Catalogue, Instrument


class ListedInstrument(Struct, frozen=True, kw_only=True):
    """A named symbol; or, where `symbol` is null, the rule for every instrument code that matches `code_pattern`."""

    symbol: str | None
    code_pattern: str | None
    decimals: int
    tick_size: str
    lot_size: int


CODE_PATTERN = "^[A-Za-z0-9]{12}$"


def listed(catalogue: Catalogue) -> list[ListedInstrument]:
    named = [_listed(one, symbol=one.symbol, code_pattern=None) for _, one in sorted(catalogue.symbols.items())]
    if not catalogue.accepts_codes:
        return named
    coded = Instrument(symbol="", decimals=catalogue.code_decimals, lot=catalogue.code_lot)
    return [*named, _listed(coded, symbol=None, code_pattern=CODE_PATTERN)]


def _listed(instrument: Instrument, *, symbol: str | None, code_pattern: str | None) -> ListedInstrument:
    return ListedInstrument(
        symbol=symbol,
        code_pattern=code_pattern,
        decimals=instrument.decimals,
        tick_size=f"{instrument.tick:f}",
        lot_size=instrument.lot,
    )
