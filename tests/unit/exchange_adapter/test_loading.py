"""EXCHANGE: what it may name, and one clear line for each thing that is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange_adapter.errors import VenueConfigError
from exchange_adapter.loading import load_venue, venue_capabilities
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.simulated_venue import SimulatedVenue
from orders.domain.values import Capabilities

MODULE = """
from orders.domain.values import Capabilities

class Venue:
    capabilities = Capabilities(queries=True)
    def submit(self, order): ...
    def query(self, order_id): ...
    def close(self): ...

class Chooses(Venue):
    capabilities = Capabilities(resends_in_doubt=True)

class Wordless(Venue):
    capabilities = None

class Short:
    capabilities = Capabilities(cancels=True)
    def submit(self, order): ...
    def close(self): ...

class NeedsMore(Venue):
    def __init__(self, address): ...

class Locked(Venue):
    def __init__(self):
        raise PermissionError("no key")

def place_order(order): ...
async def place_soon(order): ...
FEE = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with modules that the test may name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "my_venue.py").write_text(MODULE)
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere")
    (tmp_path / "broken.py").write_text("def place_order(:")
    (tmp_path / "raises.py").write_text("raise ValueError('no\\nlicence')")
    (tmp_path / "fails.py").write_text("raise RuntimeError")
    return tmp_path


def test_a_function_in_the_current_folder_is_a_venue() -> None:
    assert isinstance(load_venue("my_venue:place_order"), PlaceOrderVenue)
    assert venue_capabilities("my_venue:place_order") == Capabilities()


def test_a_class_is_a_venue_with_what_it_declares() -> None:
    assert type(load_venue("my_venue:Venue")).__name__ == "Venue"
    assert venue_capabilities("my_venue:Venue") == Capabilities(queries=True)


def test_simulated_is_the_simulated_exchange() -> None:
    assert isinstance(load_venue("simulated", address="/nowhere/exchange.sock"), SimulatedVenue)
    assert venue_capabilities("simulated").deduplicates


WRONG = {
    "nonsense": "expected `simulated`, `module:function` of a place_order or `module:Class` of a venue",
    "my_venue:": "expected `simulated`",
    "no_such_module:place_order": "there is no module no_such_module",
    "my_venue.deeper:place_order": "there is no module my_venue.deeper",
    "needs_more:place_order": "module needs_more needs not_installed_anywhere, which is not installed",
    "broken:place_order": "module broken cannot be imported: invalid syntax",
    "raises:place_order": "module raises cannot be imported: no licence",
    "fails:place_order": "module fails cannot be imported: RuntimeError",
    "my_venue:Locked": "the class cannot be made without arguments: no key",
    "my_venue:other": "module my_venue has no other",
    "my_venue:FEE": "FEE is neither a function nor a class",
    "my_venue:place_soon": "place_soon is a coroutine function; a place_order blocks",
    "my_venue:Chooses": "the class sets `resends_in_doubt`; ON_DOUBT decides that",
    "my_venue:Wordless": "the class declares no `capabilities`",
    "my_venue:Short": "the class has no method `cancel`",
    "my_venue:NeedsMore": "the class cannot be made without arguments",
}


@pytest.mark.parametrize(("setting", "says"), WRONG.items())
def test_what_is_wrong_is_said_in_one_line(setting: str, says: str) -> None:
    with pytest.raises(VenueConfigError) as refused:
        load_venue(setting)
    line = str(refused.value)
    assert line.startswith(f"EXCHANGE={setting}: ")
    assert says in line
    assert "\n" not in line
