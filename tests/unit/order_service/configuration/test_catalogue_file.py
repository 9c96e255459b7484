"""The catalogue file, as the documents show it."""

import re
from decimal import Decimal
from pathlib import Path

from order_service.configuration.catalogue_file import read_catalogue
from orders.bounds import MAX_SYMBOL
from tests.tidy.tree import ROOT

PAGE = (ROOT / "docs/reference/instruments.md").read_text(encoding="utf-8")


def test_the_file_that_the_documents_show_is_read_as_they_say(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    file = tmp_path / "catalogue.toml"
    file.write_text(shown[1], encoding="utf-8")
    catalogue = read_catalogue(file)
    assert list(catalogue.symbols) == ["EURUSD", "BRK.B"]
    assert (catalogue.symbols["EURUSD"].lot, catalogue.symbols["EURUSD"].tick) == (1000, Decimal("0.00001"))
    assert catalogue.symbols["BRK.B"].tick == Decimal("0.05")
    assert catalogue.coded("US0378331005") is not None
    assert catalogue.coded("US0378331006") is None, "its check digit is wrong"
    assert f"1 to {MAX_SYMBOL} letters" in PAGE
