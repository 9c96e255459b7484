"""The venue that EXCHANGE names: `module:function` of a place_order, or `module:Class` of a venue."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any, cast

from exchange_adapter.errors import VenueConfigError
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.simulated_venue import SimulatedVenue
from exchange_adapter.venue import Venue
from orders.domain.values import Capabilities

SIMULATED = "simulated"
_METHODS = {
    "submit": "submit",
    "close": "close",
    "queries": "query",
    "cancels": "cancel",
    "replaces": "replace",
    "reports": "reports",
}


def load_venue(setting: str, *, address: str = "", call_timeout_s: float = 10.0) -> Venue:
    """The venue, ready to be called. `address` is that of the simulated exchange.

    Raises: VenueConfigError, one line that names what is wrong.
    """
    if setting == SIMULATED:
        return SimulatedVenue(address, call_timeout_s=call_timeout_s)
    named = _named(setting)
    if inspect.isclass(named):
        _check_class(setting, named)
        try:
            return cast(Venue, named())
        except Exception as error:  # so may its class
            raise VenueConfigError(
                f"EXCHANGE={setting}: the class cannot be made without arguments: {_line(error)}"
            ) from error
    return PlaceOrderVenue(named, module=setting.partition(":")[0])


def venue_capabilities(setting: str) -> Capabilities:
    """What the venue can do, without making one. Raises: VenueConfigError."""
    if setting == SIMULATED:
        return SimulatedVenue.capabilities
    named = _named(setting)
    return _check_class(setting, named) if inspect.isclass(named) else PlaceOrderVenue.capabilities


def _named(setting: str) -> Any:
    module_name, colon, attribute = setting.partition(":")
    if not colon or not module_name or not attribute:
        raise VenueConfigError(
            f"EXCHANGE={setting}: expected `simulated`, `module:function` of a place_order or `module:Class` of a venue"
        )
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise VenueConfigError(
                f"EXCHANGE={setting}: module {module_name} needs {error.name}, which is not installed"
            ) from error
        raise VenueConfigError(f"EXCHANGE={setting}: there is no module {module_name}") from error
    except Exception as error:  # a module of the user's may raise anything
        raise VenueConfigError(
            f"EXCHANGE={setting}: module {module_name} cannot be imported: {_line(error)}"
        ) from error
    named = module
    for part in attribute.split("."):
        if not hasattr(named, part):
            raise VenueConfigError(f"EXCHANGE={setting}: module {module_name} has no {attribute}")
        named = getattr(named, part)
    if not callable(named):
        raise VenueConfigError(f"EXCHANGE={setting}: {attribute} is neither a function nor a class")
    if inspect.iscoroutinefunction(named):
        raise VenueConfigError(f"EXCHANGE={setting}: {attribute} is a coroutine function; a place_order blocks")
    return named


def _check_class(setting: str, venue: type) -> Capabilities:
    capabilities = getattr(venue, "capabilities", None)
    if not isinstance(capabilities, Capabilities):
        raise VenueConfigError(
            f"EXCHANGE={setting}: the class declares no `capabilities` (orders.domain.values.Capabilities)"
        )
    if capabilities.resends_in_doubt:
        raise VenueConfigError(f"EXCHANGE={setting}: the class sets `resends_in_doubt`; ON_DOUBT decides that")
    for capability, method in _METHODS.items():
        if getattr(capabilities, capability, True) and not callable(getattr(venue, method, None)):
            raise VenueConfigError(f"EXCHANGE={setting}: the class has no method `{method}`")
    return capabilities


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
