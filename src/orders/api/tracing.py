"""The trace that a request belongs to: its caller's (W3C Trace Context), else one of its own."""

from __future__ import annotations

import re
import secrets
from typing import Any

from litestar import Request

TRACE_HEADER = "X-Trace-Id"
TRACE_STATE = "trace_id"
"""Where a request's scope keeps the id in its `state`."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")

AnyRequest = Request[Any, Any, Any]


def trace_id_in(traceparent: str) -> str | None:
    """32 hexadecimal digits; None where it is no valid `traceparent`."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else None


def known_trace_id(request: AnyRequest) -> str | None:
    """The trace that events carry: the caller's, or that of a span under way; None where nobody traces."""
    known: str | None = request.scope["state"].get(TRACE_STATE) or trace_id_in(request.headers.get("traceparent", ""))
    return known


def trace_id_of(request: AnyRequest) -> str:
    """The same one however often it is asked for during a request."""
    state = request.scope["state"]
    if TRACE_STATE not in state:
        state[TRACE_STATE] = known_trace_id(request) or secrets.token_hex(16)
    trace_id: str = state[TRACE_STATE]
    return trace_id
