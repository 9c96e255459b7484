"""The scenarios of `make load` and of load/orders.k6.js: one file for both, load/scenarios.json.

A scenario is pure data. Its phases follow one another; in each, requests are meant to leave at `per_second`, spread
over `users`. Which of them gets a request is the `model`:

    users       each user has its own turn every users/per_second seconds, however long the last answer took
    arrivals    whoever is free takes the next one

load/README.md explains every field.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

FILE = Path(__file__).parent / "scenarios.json"

Operation = Literal["place", "get", "list", "cancel", "replace"]
OPERATIONS: tuple[Operation, ...] = ("place", "get", "list", "cancel", "replace")
Model = Literal["users", "arrivals"]

Name = Annotated[str, Meta(min_length=1, max_length=40)]
Count = Annotated[int, Meta(ge=1, le=2_000)]
Weight = Annotated[float, Meta(ge=0, le=1_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Bound = Annotated[float, Meta(gt=0, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=3_600)]
Rate = Annotated[float, Meta(ge=0, le=1)]


class BadScenario(Exception):
    """`str()` says which scenario or field, in one line."""


class Faults(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the simulated exchange does wrong during a phase; docs/how-to/break-the-exchange.md."""

    outage_s: Seconds | None = None
    error_rate: Rate | None = None
    hang_rate: Rate | None = None
    drop_rate: Rate | None = None

    @property
    def given(self) -> dict[str, float]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    @property
    def words(self) -> str:
        """As `orders exchange faults` takes them."""
        return " ".join(
            f"--{name.removesuffix('_s').replace('_', '-')} {value:g}" for name, value in self.given.items()
        )


class Phase(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Name
    seconds: Seconds
    per_second: Annotated[float, Meta(gt=0, le=5_000)]
    faults: Faults | None = None


class Orders(Struct, frozen=True, forbid_unknown_fields=True):
    """What is placed: `limit_share` of them are limit orders for the day at one of the prices, the others market."""

    symbols: Annotated[list[str], Meta(min_length=1)]
    quantities: tuple[Count, Count]
    limit_share: Share
    bids: Annotated[list[str], Meta(min_length=1)]
    offers: Annotated[list[str], Meta(min_length=1)]


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold, else the run ends with 1. `p99_ms` by operation, from the intended time; `failed_share` of the
    requests at most got no answer or one that a client should not get; `answered_share` of what was meant to leave got
    one at least; `feed_p99_ms` from an event's time to its message; `settled_s` from the end until no order waits for
    the exchange any more; `rejected_share` of the accepted orders at most did the exchange reject."""

    p99_ms: dict[Operation, Bound]
    failed_share: Share
    answered_share: Share
    feed_p99_ms: Bound
    settled_s: Bound
    rejected_share: Share


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    about: str
    model: Model
    users: Count
    sockets: Annotated[int, Meta(ge=1, le=500)]  # one at least: the balance compares what was told
    phases: Annotated[list[Phase], Meta(min_length=1, max_length=100)]
    mix: dict[Operation, Weight]
    orders: Orders
    thresholds: Thresholds

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    @property
    def requests(self) -> int:
        """That are meant to leave in all."""
        return sum(round(phase.seconds * phase.per_second) for phase in self.phases)

    @property
    def breaks_exchange(self) -> bool:
        return any(phase.faults is not None for phase in self.phases)


class _File(Struct, forbid_unknown_fields=True):
    scenarios: dict[str, Scenario]


def read_scenarios(path: Path = FILE) -> Mapping[str, Scenario]:
    """By name, in the file's order. Raises BadScenario."""
    try:
        scenarios = msgspec.json.decode(path.read_bytes(), type=_File).scenarios
    except OSError as error:
        raise BadScenario(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadScenario(f"{path}: {error}") from error
    for name, scenario in scenarios.items():
        if not scenario.mix.get("place"):
            raise BadScenario(f"{path}: {name}: the mix places no order, and there is nothing to look at without one")
        low, high = scenario.orders.quantities
        if low > high:
            raise BadScenario(f"{path}: {name}: quantities from {low} to {high}")
    return scenarios


def scenario_named(name: str, path: Path = FILE) -> Scenario:
    """Raises BadScenario, which names those that there are."""
    scenarios = read_scenarios(path)
    if name not in scenarios:
        raise BadScenario(f"there is no scenario {name!r} in {path}; there are {', '.join(scenarios)}")
    return scenarios[name]


def shortened(scenario: Scenario, seconds: float) -> Scenario:
    """The same in `seconds`: every phase, and its outage with it, shrinks by the same factor, and the rate stays."""
    factor = seconds / scenario.seconds
    phases = [_shorter(phase, factor) for phase in scenario.phases]
    about = f"{scenario.about} Here in {seconds:g} s instead of {scenario.seconds:g}."
    return msgspec.structs.replace(scenario, phases=phases, about=about)


def _shorter(phase: Phase, factor: float) -> Phase:
    faults = phase.faults
    if faults is not None and faults.outage_s is not None:
        faults = msgspec.structs.replace(faults, outage_s=faults.outage_s * factor)
    return msgspec.structs.replace(phase, seconds=phase.seconds * factor, faults=faults)
