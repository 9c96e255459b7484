"""Faults at the edge, drawn from a seed: the engine knows nothing of them. The plan can be changed while running."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec
from msgspec import Struct

from simulated_exchange.bounds import MAX_CAPACITY, MAX_CRASH_EVERY_S, MAX_LATENCY_S, MIN_CRASH_EVERY_S
from simulated_exchange.errors import BadSetting

Mishap = Literal["error", "hang", "drop", "disconnect"]
RATES = ("error_rate", "hang_rate", "drop_rate", "disconnect_rate", "duplicate_rate", "reorder_rate")


class FaultPlan(Struct, frozen=True):
    """Rates from 0 to 1. A request meets one of error, hang, drop and disconnect; latency in seconds, drawn from the
    range, comes besides. Of the writes of reports, `disconnect_rate` are cut off in the middle; each report may come
    twice, or behind the next."""

    error_rate: float = 0.0
    hang_rate: float = 0.0
    drop_rate: float = 0.0
    latency_s: tuple[float, float] = (0.0, 0.0)
    disconnect_rate: float = 0.0
    duplicate_rate: float = 0.0
    reorder_rate: float = 0.0
    crash_every_s: tuple[float, float] = (0.0, 0.0)  # the time between crashes, drawn from the range; 0: none
    capacity: int = 0  # requests a second that it works off, the others wait; 0: as many as come

    def checked(self) -> FaultPlan:
        """Itself; BadSetting where it cannot be."""
        for name in RATES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise BadSetting(f"{name.replace('_', '-')} is a rate from 0 to 1, not {getattr(self, name)}")
        if self.error_rate + self.hang_rate + self.drop_rate + self.disconnect_rate > 1.0:
            raise BadSetting("error-rate, hang-rate, drop-rate and disconnect-rate together are more than 1")
        low, high = self.latency_s
        if not 0.0 <= low <= high <= MAX_LATENCY_S:
            raise BadSetting(f"latency is a range of seconds from 0 to {MAX_LATENCY_S:g}, not {low:g}-{high:g}")
        low, high = self.crash_every_s
        if high != 0.0 and not MIN_CRASH_EVERY_S <= low <= high <= MAX_CRASH_EVERY_S:
            raise BadSetting(
                f"crash-every is 0 or a range of seconds from {MIN_CRASH_EVERY_S:g} to {MAX_CRASH_EVERY_S:g}, "
                f"not {low:g}-{high:g}"
            )
        if not 0 <= self.capacity <= MAX_CAPACITY:
            raise BadSetting(f"capacity is 0 or requests a second up to {MAX_CAPACITY}, not {self.capacity}")
        return self

    def as_dict(self) -> dict[str, float | list[float]]:
        shown: dict[str, float | list[float]] = msgspec.to_builtins(self)
        return shown | {"latency_s": list(self.latency_s), "crash_every_s": list(self.crash_every_s)}


class Faults:
    """Says what befalls each request and report: set `plan` to change it."""

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        self.plan = plan.checked()
        self._random = Random(f"faults {seed}")

    def mishap(self) -> Mishap | None:
        drawn = self._random.random()
        plan = self.plan
        rates: tuple[tuple[float, Mishap], ...] = (
            (plan.error_rate, "error"),
            (plan.hang_rate, "hang"),
            (plan.drop_rate, "drop"),
            (plan.disconnect_rate, "disconnect"),
        )
        for rate, name in rates:
            if drawn < rate:
                return name
            drawn -= rate
        return None

    def latency_s(self) -> float:
        low, high = self.plan.latency_s
        return low if low == high else self._random.uniform(low, high)

    def next_crash_s(self) -> float | None:
        """How long until the next; None: there is none planned."""
        low, high = self.plan.crash_every_s
        return None if high == 0.0 else self._random.uniform(low, high)

    def cuts_write(self) -> bool:
        return self._happens(self.plan.disconnect_rate)

    def duplicates(self) -> bool:
        return self._happens(self.plan.duplicate_rate)

    def reorders(self) -> bool:
        return self._happens(self.plan.reorder_rate)

    def _happens(self, rate: float) -> bool:
        return rate > 0.0 and self._random.random() < rate


class Disorder:
    """Brings one reader's lines into the disorder that the plan asks for; without faults they pass as they are."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: bytes | None = None

    def of(self, lines: bytes) -> bytes:
        """What is to be written now; one line may stay behind until the next comes."""
        plan = self._faults.plan
        if self._held is None and not plan.duplicate_rate and not plan.reorder_rate:
            return lines
        sent: list[bytes] = []
        for line in lines.splitlines(keepends=True):
            if self._held is None and self._faults.reorders():
                self._held = line
                continue
            sent.append(line)
            if self._faults.duplicates():
                sent.append(line)
            if self._held is not None:
                sent.append(self._held)
                self._held = None
        return b"".join(sent)
