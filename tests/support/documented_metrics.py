"""The table of docs/reference/metrics.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/metrics.md"
_ROW = re.compile(r"^\| `([a-z_]+)` \| (\w+) \| ([^|]*)\| (\w+) \| ([^|]+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Metric:
    name: str
    type: str
    labels: frozenset[str]
    of: str


@cache
def documented() -> dict[str, Metric]:
    rows = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {
        name: Metric(name, kind, frozenset(re.findall(r"`(\w+)`", labels)), of) for name, kind, labels, of, _ in rows
    }


def sample_names(metric: Metric) -> list[str]:
    """As its samples are called."""
    if metric.type == "histogram":
        return [f"{metric.name}{suffix}" for suffix in ("_bucket", "_count", "_sum")]
    return [metric.name]
