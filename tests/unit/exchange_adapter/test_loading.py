"""EXCHANGE: what it may name, and one clear line for each thing that is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from exchange_adapter.errors import VenueConfigError
from exchange_adapter.loading import load_venue, venue_capabilities
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.simulated_venue import SimulatedVenue
from exchange_adapter.venue import NotSent, VenueOrder
from orders.domain.values import Capabilities, OrderType, Side, TimeInForce

ORDER = VenueOrder(
    order_id=UUID(int=5),
    symbol="EURUSD",
    side=Side.BUY,
    type=OrderType.MARKET,
    quantity=7,
    limit_price=None,
    time_in_force=TimeInForce.GTC,
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
)

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

WRAPPED = """
import functools
from decorators import plain, wrapping

class OrderPlacementError(Exception): ...

def _place(host, order):
    raise OrderPlacementError("no connection")

class Desk:
    def place_order(self, order):
        _place("host", order)
    __call__ = place_order

partial = functools.partial(_place, "host")

@wrapping
def wrapped(order):
    _place("host", order)

@plain
def hidden(order):
    _place("host", order)

desk = Desk()
"""

DECORATORS = """
import functools

class OrderPlacementError(Exception): ...

def plain(function):
    return lambda order: function(order)

def wrapping(function):
    return functools.wraps(function)(lambda order: function(order))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with modules that the test may name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "my_venue.py").write_text(MODULE)
    (tmp_path / "wrapped.py").write_text(WRAPPED)
    (tmp_path / "decorators.py").write_text(DECORATORS)
    (tmp_path / "imports.py").write_text("from wrapped import partial as passed_on, wrapped, desk")
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere")
    (tmp_path / "broken.py").write_text("def place_order(:")
    (tmp_path / "raises.py").write_text("raise ValueError('no\\nlicence')")
    (tmp_path / "fails.py").write_text("raise RuntimeError")
    return tmp_path


def test_a_function_in_the_current_folder_is_a_venue() -> None:
    assert isinstance(load_venue("my_venue:place_order"), PlaceOrderVenue)
    assert venue_capabilities("my_venue:place_order") == Capabilities()


@pytest.mark.parametrize(
    "setting",
    [
        *(f"wrapped:{name}" for name in ("partial", "wrapped", "hidden", "desk", "desk.place_order")),
        "imports:passed_on",
        "imports:wrapped",
        "imports:desk",
    ],
)
def test_however_a_function_is_wrapped_the_error_of_its_module_means_that_nothing_was_sent(setting: str) -> None:
    assert load_venue(setting).submit(ORDER) == NotSent("no connection")


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
