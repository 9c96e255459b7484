"""How every campaign of one outcome begins and ends: its seed is told first, its findings are its exit code."""

from __future__ import annotations

import time
from typing import NoReturn, Protocol


class Outcome(Protocol):
    """Printed at the end; `findings` is empty where all held."""

    @property
    def findings(self) -> object: ...


def told_seed(seed: int | None) -> int:
    """The given seed or a fresh one; printed before anything can fail, so that any run can be repeated."""
    seed = int(time.time()) if seed is None else seed
    print(f"seed {seed}", flush=True)
    return seed


def conclude(outcome: Outcome) -> NoReturn:
    """Raises SystemExit: 1 where there are findings, else 0."""
    print(outcome)
    raise SystemExit(1 if outcome.findings else 0)
