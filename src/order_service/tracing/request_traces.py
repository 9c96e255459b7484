"""Which trace a request belongs to: for its log lines, and told to a caller who brought one."""

from __future__ import annotations

from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from order_service.logs.trace_context import current_trace
from orders.api.tracing import TRACE_HEADER, TRACE_STATE, trace_id_in


def traced(app: ASGIApp) -> ASGIApp:
    """Reads `traceparent` (W3C Trace Context), and answers a caller who sent a valid one with X-Trace-Id. A request
    without one has a trace id of its own only once somebody asks: a fault, a problem."""

    async def with_trace(scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        token = current_trace.set(lambda: state.get(TRACE_STATE))
        try:
            trace_id = _callers(scope) or state.get(TRACE_STATE)
            if trace_id is None:
                await app(scope, receive, send)
            else:
                state[TRACE_STATE] = trace_id
                await app(scope, receive, _echoing(send, trace_id))
        finally:
            current_trace.reset(token)

    return with_trace


def _callers(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return trace_id_in(value.decode("latin-1"))
    return None


def _echoing(send: Send, trace_id: str) -> Send:
    async def echo(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            if TRACE_HEADER not in headers:
                headers[TRACE_HEADER] = trace_id
        await send(message)

    return echo
