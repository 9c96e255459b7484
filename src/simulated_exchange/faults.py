"""Faults at the edge, drawn from a seed: the engine knows nothing of them. The plan can be changed while running."""

from __future__ import annotations

from random import Random
from typing import Literal

from msgspec import Struct

from simulated_exchange.bounds import MAX_LATENCY_S
from simulated_exchange.errors import BadSetting

Mishap = Literal["error", "hang", "drop"]


class FaultPlan(Struct, frozen=True):
    """Rates from 0 to 1, in this order of precedence: error, hang, drop. Latency in seconds, drawn from the range."""

    error_rate: float = 0.0
    hang_rate: float = 0.0
    drop_rate: float = 0.0
    latency_s: tuple[float, float] = (0.0, 0.0)

    def checked(self) -> FaultPlan:
        """Itself; BadSetting where it cannot be."""
        for name in ("error_rate", "hang_rate", "drop_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise BadSetting(f"{name.replace('_', '-')} is a rate from 0 to 1, not {getattr(self, name)}")
        if self.error_rate + self.hang_rate + self.drop_rate > 1.0:
            raise BadSetting("error-rate, hang-rate and drop-rate together are more than 1")
        low, high = self.latency_s
        if not 0.0 <= low <= high <= MAX_LATENCY_S:
            raise BadSetting(f"latency is a range of seconds from 0 to {MAX_LATENCY_S:g}, not {low:g}-{high:g}")
        return self

    def as_dict(self) -> dict[str, float | list[float]]:
        return {
            "error_rate": self.error_rate,
            "hang_rate": self.hang_rate,
            "drop_rate": self.drop_rate,
            "latency_s": list(self.latency_s),
        }


class Faults:
    """Says what befalls each request: set `plan` to change it."""

    def __init__(self, plan: FaultPlan, seed: int) -> None:
        self.plan = plan.checked()
        self._random = Random(f"faults {seed}")

    def mishap(self) -> Mishap | None:
        drawn = self._random.random()
        plan = self.plan
        for rate, name in ((plan.error_rate, "error"), (plan.hang_rate, "hang"), (plan.drop_rate, "drop")):
            if drawn < rate:
                return name  # type: ignore[return-value]
            drawn -= rate
        return None

    def latency_s(self) -> float:
        low, high = self.plan.latency_s
        return low if low == high else self._random.uniform(low, high)
