"""OpenTelemetry spans: what each tells, in which trace it stands, and nothing of it where nobody asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar, Request, get
from litestar.params import FromPath
from litestar.types import ASGIApp
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from exchange_adapter.venue import Placed, Unknown, VenueOrder, venue_order
from order_service.errors import SettingsError
from order_service.tracing.request_spans import TracedAppender, traced_requests
from order_service.tracing.spans import Spans, spans
from order_service.tracing.telemetry import asked_for, spans_of
from orders.api.tracing import TRACE_STATE
from orders.eventstore.group_commit import Writer
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Unit
from tests.support.adapter_floor import PLAIN
from tests.support.log_events import placed, unit
from tests.support.order_lives import at_exchange
from tests.support.waiting import wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Collected:
    """The spans that were made, as a collector would get them."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans: Spans = spans("api", SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def only(self) -> ReadableSpan:
        (span,) = self.all
        return span


@pytest.fixture
def collected() -> Iterator[Collected]:
    collecting = Collected()
    yield collecting
    collecting.spans.close()


def trace_of(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def app(collected: Collected) -> tuple[Litestar, dict[str, Any]]:
    """An app with one route, and what it found in the scope of the last request."""
    seen: dict[str, Any] = {}

    @get("/orders/{order_id:str}", sync_to_thread=False)
    def show(order_id: FromPath[str], request: Request[Any, Any, Any]) -> str:
        seen.update(request.scope["state"])
        if order_id == "fails":
            raise RuntimeError("no")
        return order_id

    made = Litestar([show], openapi_config=None, logging_config=None)
    inner: ASGIApp = made.asgi_handler
    made.asgi_handler = traced_requests(collected.spans.tracer, inner)
    return made, seen


async def ask(made: Litestar, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=made, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.test") as client:
        return await client.get(path, headers=headers)


@pytest.mark.anyio
async def test_a_request_is_one_span_with_its_routes_template_and_in_its_callers_trace(collected: Collected) -> None:
    made, seen = app(collected)
    await ask(made, "/orders/4711", traceparent=TRACEPARENT)
    span = collected.only()
    assert (span.name, span.kind, trace_of(span)) == ("GET /orders/{order_id}", SpanKind.SERVER, TRACE)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/orders/{order_id}",
        "http.response.status_code": 200,
    }
    assert span.parent is not None
    assert seen[TRACE_STATE] == TRACE


@pytest.mark.anyio
async def test_a_request_without_a_trace_begins_one_that_its_events_will_carry(collected: Collected) -> None:
    made, seen = app(collected)
    await ask(made, "/orders/4711")
    assert collected.only().parent is None
    assert seen[TRACE_STATE] == trace_of(collected.only())


@pytest.mark.anyio
async def test_a_fault_and_a_path_without_a_route_are_named_as_such(collected: Collected) -> None:
    made, _ = app(collected)
    await ask(made, "/orders/fails")
    await ask(made, "/nothing/here/4711")
    failed, unknown = collected.all
    assert (failed.name, failed.status.is_ok) == ("GET /orders/{order_id}", False)
    assert unknown.name == "GET no route"


@pytest.mark.anyio
async def test_an_append_stands_below_what_waits_for_it_and_tells_its_position(collected: Collected) -> None:
    writer = Writer(MemoryEventStore())
    writer.start()
    appender, tracer = TracedAppender(writer, collected.spans.tracer), collected.spans.tracer
    one = unit()
    with tracer.start_as_current_span("a request") as request:
        await appender.append(one)
        await appender.append(one)
    writer.close()
    appended, repeated, _ = collected.all
    assert appended.parent is not None
    assert appended.parent.span_id == request.get_span_context().span_id
    assert dict(appended.attributes or {}) == {
        "orders.order_id": str(one.stream_id),
        "orders.events": 1,
        "orders.position": 1,
    }
    assert (repeated.name, repeated.status.is_ok) == ("append to the log", True)


class SomeVenue:
    """Answers what the test says, and has no other method."""

    capabilities = PLAIN

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def submit(self, order: VenueOrder) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def reports(self, after: object) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to end."""


def submitted(collected: Collected, answer: Any, trace_id: str | None = TRACE) -> tuple[ReadableSpan, UUID]:
    """The span of a submit; the order's first event has the trace."""
    store, order_id = MemoryEventStore(), uuid4()
    first = placed()
    store.append(
        [Unit(order_id, 0, (type(first)(event_id=uuid4(), at=first.at, by="x", trace_id=trace_id, after=first.after),))]
    )
    venue = collected.spans.around_venue(SomeVenue(answer), store)  # type: ignore[arg-type]
    order = at_exchange(order_id=order_id).order
    assert order is not None
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            venue.submit(venue_order(order))
    else:
        assert venue.submit(venue_order(order)) is answer
    wait_until(lambda: collected.all, what="the call's span")
    return collected.only(), order_id


def test_a_call_to_the_exchange_stands_in_the_trace_that_the_order_came_with(collected: Collected) -> None:
    span, order_id = submitted(collected, Placed("V-1"))
    assert (span.name, span.kind, trace_of(span), span.status.is_ok) == (
        *("exchange submit", SpanKind.CLIENT, TRACE),
        True,
    )
    assert dict(span.attributes or {}) == {"orders.order_id": str(order_id), "orders.outcome": "Placed"}
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.end_time


@pytest.mark.parametrize(("answer", "outcome"), [(Unknown("?"), "Unknown"), (RuntimeError("?"), "raised")])
def test_a_call_that_leaves_the_order_in_doubt_is_an_error(collected: Collected, answer: Any, outcome: str) -> None:
    span, _ = submitted(collected, answer)
    assert ((span.attributes or {})["orders.outcome"], span.status.is_ok) == (outcome, False)


def test_an_order_without_a_trace_gets_one_for_each_call(collected: Collected) -> None:
    span, _ = submitted(collected, Placed(), trace_id=None)
    assert trace_of(span) not in (TRACE, "0" * 32)


def test_a_batch_of_a_projection_is_a_span(collected: Collected) -> None:
    applied: list[Any] = []
    apply = collected.spans.around_batches("order_status", lambda cursor, batch: applied.append(batch))
    batch = at_exchange().recorded
    apply(None, batch)  # type: ignore[arg-type]
    span = collected.only()
    assert applied == [batch]
    assert (span.name, dict(span.attributes or {})) == (
        "project order_status",
        {"orders.events": 3, "orders.first_position": batch[0].position},
    )


def test_the_service_is_named_by_its_part_unless_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Collected().spans.provider.resource.attributes["service.name"] == "orders-api"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    assert Collected().spans.provider.resource.attributes["service.name"] == "desk"


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, None),
    ],
)
def test_traces_are_asked_for_by_opentelemetrys_own_variables(environ: dict[str, str], exporter: str | None) -> None:
    assert asked_for(environ) == exporter


def test_an_exporter_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(SettingsError, match="OTEL_TRACES_EXPORTER: 'zipkin' is none of otlp, console, none"):
        spans_of("api", {"OTEL_TRACES_EXPORTER": "zipkin"})


def test_nothing_of_opentelemetry_is_imported_unless_asked_for_and_where_it_is_missing_that_is_said() -> None:
    code = (
        "import sys, order_service.processes.api_worker, order_service.processes.parts, projections.projector\n"
        "from order_service.tracing.telemetry import spans_of\n"
        "assert spans_of('api', {}) is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "sys.modules['opentelemetry'] = None\n"
        "try: spans_of('api', {'OTEL_TRACES_EXPORTER': 'console'})\n"
        "except Exception as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("OTEL_*: asks for traces, and opentelemetry")
    assert done.stdout.endswith(" is not installed: pip install 'order-service[telemetry]'\n")
