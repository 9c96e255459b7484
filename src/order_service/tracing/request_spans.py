"""The spans of requests, and of the appends that they wait for. Imported by an API process that is asked for traces."""

from __future__ import annotations

from collections.abc import Sequence

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from orders.api.tracing import TRACE_STATE
from orders.eventstore.port import Appended, Conflict, Unit
from orders.handlers import Appender

_PROPAGATOR = TraceContextTextMapPropagator()
_NO_ROUTE = "no route"


def traced_requests(tracer: Tracer, app: ASGIApp) -> ASGIApp:
    """A span a request, named by its method and its route's template, from its head to the head of its answer: a stream
    of events would last for hours. Its trace is the caller's where one was sent, and is stored with the events."""

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        method = scope["method"]
        came_from = _PROPAGATOR.extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        )
        span = tracer.start_span(method, came_from, SpanKind.SERVER, {"http.request.method": method})
        scope["state"][TRACE_STATE] = f"{span.get_span_context().trace_id:032x}"
        token = context.attach(set_span_in_context(span, came_from))

        async def ending_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                _end(span, method, scope, message["status"])
            await send(message)

        try:
            await app(scope, receive, ending_send)
        finally:
            context.detach(token)
            if span.is_recording():
                _end(span, method, scope, None)

    return traced


def _end(span: Span, method: str, scope: Scope, status: int | None) -> None:
    route = str(scope.get("path_template") or _NO_ROUTE)
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)
    if status is not None:
        span.set_attribute("http.response.status_code", status)
    if status is None or status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    span.end()


class TracedAppender:
    """Makes units durable as `appender` does, in a span below that of the request which waits."""

    def __init__(self, appender: Appender, tracer: Tracer) -> None:
        self._appender = appender
        self._tracer = tracer

    async def append(self, unit: Unit) -> Appended | Conflict:
        attributes: Attributes = {"orders.order_id": str(unit.stream_id), "orders.events": len(unit.events)}
        with self._tracer.start_as_current_span("append to the log", attributes=attributes) as span:
            answer = await self._appender.append(unit)
            _tell(span, answer)
            return answer

    async def append_whole(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        attributes = {"orders.events": sum(len(unit.events) for unit in units)}
        with self._tracer.start_as_current_span("append to the log", attributes=attributes):
            return await self._appender.append_whole(units)


def _tell(span: Span, answer: Appended | Conflict) -> None:
    if isinstance(answer, Appended):
        span.set_attribute("orders.position", answer.position)
    else:
        span.set_attribute("orders.conflict", True)
