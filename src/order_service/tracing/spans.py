"""The spans of OpenTelemetry that this service makes; imported only where traces are asked for (`telemetry.py`).

- a request, by its route's template, with its append to the log below it (`request_spans.py`)
- a call to the exchange, seconds or hours later: in the trace that the order's first event names
- a batch of a projection

A call's span is a root of its own in the order's trace: the request's span has long ended, and its id is not kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from importlib.metadata import version
from queue import Full, Queue
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar, cast
from uuid import UUID

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from exchange_adapter.venue import (
    CancelRequest,
    Outcome,
    QueryOutcome,
    ReplaceRequest,
    RequestOutcome,
    SubmitOutcome,
    Unknown,
    Venue,
    VenueOrder,
)
from order_service.bounds import MOST_WAITING_SPANS, TRACES_END_S
from orders.eventstore.port import EventStoreError, Recorded
from orders.follower import Apply, Cursor

R = TypeVar("R", bound=Outcome)

_trace_id: ContextVar[int | None] = ContextVar("trace of the next root", default=None)


class TraceIds(RandomIdGenerator):
    """A root span belongs to the trace that stands in the context, else to one of its own."""

    def generate_trace_id(self) -> int:
        return _trace_id.get() or super().generate_trace_id()


class FirstEvents(Protocol):
    """The part of an event store that finds the trace of an order."""

    def read_stream(self, stream_id: UUID, *, after_version: int = 0, limit: int | None = None) -> list[Recorded]: ...


class Spans(NamedTuple):
    provider: TracerProvider

    @property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("order_service", version("order-service"))

    def around_batches(self, name: str, apply: Apply) -> Apply:
        """`apply` of a projection, with a span a batch; the commit follows it."""

        def traced(cursor: Cursor, batch: list[Recorded]) -> None:
            attributes = {"orders.events": len(batch), "orders.first_position": batch[0].position}
            with self.tracer.start_as_current_span(f"project {name}", attributes=attributes):
                apply(cursor, batch)

        return traced

    def around_venue(self, venue: Venue, store: FirstEvents) -> Venue:
        return cast(Venue, TracedVenue(venue, self.tracer, store))

    def close(self) -> None:
        """Sends what is left, within TRACES_END_S: a collector that is away holds up no stop."""
        closing = Thread(target=self.provider.shutdown, name="spans", daemon=True)
        closing.start()
        closing.join(TRACES_END_S)


def exporting(part: str, *, console: bool) -> Spans:
    """Spans that leave the process in the background, by the OTEL_* variables."""
    if console:
        return spans(part, BatchSpanProcessor(ConsoleSpanExporter()))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return spans(part, BatchSpanProcessor(OTLPSpanExporter()))


def spans(part: str, processor: Any) -> Spans:
    named = "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") or os.environ.get("OTEL_SERVICE_NAME")
    attributes = {"service.version": version("order-service")} | ({} if named else {"service.name": f"orders-{part}"})
    provider = TracerProvider(resource=Resource.create(attributes), id_generator=TraceIds(), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return Spans(provider)


class _Call(NamedTuple):
    name: str
    order_id: UUID
    began_ns: int
    ended_ns: int
    outcome: str
    failed: bool


class TracedVenue:
    """A venue whose calls leave spans. The call itself and its outcome wait for nothing: the order's trace is looked up
    afterwards, in a thread of its own; where more than MOST_WAITING_SPANS wait for that, the newest get none."""

    def __init__(self, venue: Venue, tracer: Tracer, store: FirstEvents) -> None:
        self.capabilities = venue.capabilities
        self.reports = venue.reports
        self.close = venue.close
        self._venue = venue
        self._tracer = tracer
        self._store = store
        self._made: Queue[_Call] = Queue(MOST_WAITING_SPANS)
        Thread(target=self._tell, name="exchange spans", daemon=True).start()

    def submit(self, order: VenueOrder) -> SubmitOutcome:
        return self._observed("submit", order.order_id, lambda: self._venue.submit(order))

    def cancel(self, request: CancelRequest) -> RequestOutcome:
        return self._observed("cancel", request.order_id, lambda: self._venue.cancel(request))

    def replace(self, request: ReplaceRequest) -> RequestOutcome:
        return self._observed("replace", request.order_id, lambda: self._venue.replace(request))

    def query(self, order_id: UUID) -> QueryOutcome:
        return self._observed("query", order_id, lambda: self._venue.query(order_id))

    def _observed(self, name: str, order_id: UUID, call: Callable[[], R]) -> R:
        began, said, failed = time.time_ns(), "raised", True
        try:
            outcome = call()
            said, failed = type(outcome).__name__, isinstance(outcome, Unknown)
            return outcome
        finally:
            with suppress(Full):
                self._made.put_nowait(_Call(name, order_id, began, time.time_ns(), said, failed))

    def _tell(self) -> None:
        while True:
            call = self._made.get()
            token = _trace_id.set(self._trace_of(call.order_id))
            span = self._tracer.start_span(
                f"exchange {call.name}",
                kind=SpanKind.CLIENT,
                start_time=call.began_ns,
                attributes={"orders.order_id": str(call.order_id), "orders.outcome": call.outcome},
            )
            _trace_id.reset(token)
            if call.failed:
                span.set_status(Status(StatusCode.ERROR, call.outcome))
            span.end(call.ended_ns)

    def _trace_of(self, order_id: UUID) -> int | None:
        try:
            first = self._store.read_stream(order_id, limit=1)
        except EventStoreError:
            return None
        trace_id = first[0].event.trace_id if first else None
        return None if trace_id is None else int(trace_id, 16)
