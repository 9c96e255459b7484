"""The trace that a request belongs to: its caller's (W3C Trace Context), else one of its own."""

from __future__ import annotations

import re
import secrets
from typing import Any

from litestar import Request

TRACE_HEADER = "X-Trace-Id"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_STATE = "trace_id"

AnyRequest = Request[Any, Any, Any]


def callers_trace_id(request: AnyRequest) -> str | None:
    """32 hexadecimal digits; None where the caller sent no valid `traceparent`."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return found[1] if found else None


def trace_id_of(request: AnyRequest) -> str:
    """The same one however often it is asked for during a request."""
    state = request.scope["state"]
    if _STATE not in state:
        state[_STATE] = callers_trace_id(request) or secrets.token_hex(16)
    trace_id: str = state[_STATE]
    return trace_id
