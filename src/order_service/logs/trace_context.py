"""The trace id of the work at hand, for its log lines. Imports nothing, so that every process may."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

current_trace: ContextVar[Callable[[], str | None] | None] = ContextVar("current trace", default=None)
"""Asked only when a line is written: most requests write none."""


def add_trace_id(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog. A line that names a trace itself keeps it: that of the order it is about."""
    asked = current_trace.get()
    if asked is not None and "trace_id" not in line and (trace_id := asked()) is not None:
        line["trace_id"] = trace_id
    return line
