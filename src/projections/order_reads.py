"""One order, straight from the log: never stale, as it is or as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from orders.domain.errors import FieldError, UnknownOrder
from orders.domain.events import OrderEvent, event_name
from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource, resource
from orders.domain.values import Delivery, OrdStatus, Status
from orders.eventstore.port import EventStore, Recorded
from orders.request_errors import InvalidParameters
from projections.bounds import MAX_AS_OF_READ, MAX_HISTORY_READ
from projections.freshness import Freshness
from projections.queries import Answer, Asked, HistoryQuery, OrderQuery
from projections.reads import printed

T = TypeVar("T")

_SHOWN_APART = {"event", "event_id", "at", "by", "trace_id", "after", "evidence"}


class HistoryEvent(Struct, frozen=True, kw_only=True):
    """One event of an order. `evidence` is why it may say that something ended or is settled; `fields` are the event's
    own; status, ord_status, filled_quantity and delivery are the order's after it."""

    position: int
    version: int
    event: str
    event_id: UUID
    at: datetime
    by: str
    trace_id: str | None
    evidence: str | None
    status: Status
    ord_status: OrdStatus
    filled_quantity: int
    delivery: Delivery
    fields: dict[str, Any]


class OrderReads:
    """All methods raise, beside what they name: UnknownOrder, also for another account's order; InvalidParameters for
    a position beyond the log's head; EventStoreError. Reads of the store run in `threads`."""

    def __init__(self, store: EventStore, freshness: Freshness, catalogue: Catalogue, threads: Executor) -> None:
        self._store = store
        self._freshness = freshness
        self._catalogue = catalogue
        self._threads = threads

    async def order(self, query: OrderQuery, asked: Asked) -> Answer[OrderResource]:
        """As it is: its last event says all about it. As it was: that of the last event up to then."""
        last, required = await self._last(query, asked)
        event = last.event
        assert isinstance(event, OrderEvent)
        content = resource(
            last.stream_id,
            event.after,
            self._catalogue,
            version=last.version,
            position=last.position,
            updated_at=event.at,
        )
        position = last.position if query.as_of is not None else max(last.position, required)
        return Answer(content=content, position=position)

    async def history(self, query: HistoryQuery, asked: Asked) -> Answer[list[HistoryEvent]]:
        """Oldest first."""
        whole = OrderQuery(account=query.account, order_id=query.order_id, as_of=query.as_of)
        last, required = await self._last(whole, asked)
        page = await self._in_thread(
            lambda: self._store.read_stream(query.order_id, after_version=query.after_version, limit=query.limit)
        )
        shown = [one for one in page if one.version <= last.version]
        more = len(shown) == query.limit and shown[-1].version < last.version
        return Answer(
            content=[self._history_event(one) for one in shown],
            position=last.position if query.as_of is not None else max(last.position, required),
            next=shown[-1].version if more else None,
        )

    async def _last(self, query: OrderQuery, asked: Asked) -> tuple[Recorded, int]:
        """The order's last event, up to `as_of`, and the position that the answer may claim at least."""
        required = await self._freshness.require(asked)
        as_of, order_id = query.as_of, query.order_id
        if isinstance(as_of, datetime):
            last = await self._in_thread(lambda: self._last_by(order_id, as_of))
        else:
            if as_of is not None:
                await self._check_exists(as_of)
            last = await self._in_thread(lambda: self._store.read_last(order_id, as_of_position=as_of))
        if last is None or not isinstance(last.event, OrderEvent) or last.event.after.account != query.account:
            raise UnknownOrder(order_id)
        return last, required

    async def _check_exists(self, position: int) -> None:
        head = await self._in_thread(self._store.head)
        if position > head:
            text = f"Position {position} is beyond the log's last position {head}"
            raise InvalidParameters([FieldError("as_of", text)])

    def _last_by(self, order_id: UUID, time: datetime) -> Recorded | None:
        """The last event before the first one that is later than `time`. Only positions order events; times are what
        the clocks said."""
        last: Recorded | None = None
        for recorded in self._stream(order_id):
            if recorded.event.at > time:
                break
            last = recorded
        return last

    def _stream(self, order_id: UUID) -> Iterator[Recorded]:
        version = 0
        while page := self._store.read_stream(order_id, after_version=version, limit=MAX_HISTORY_READ):
            yield from page
            version = page[-1].version
            if len(page) < MAX_HISTORY_READ:
                return
            if version >= MAX_AS_OF_READ:
                text = "The order has too many events to look for a time; name a position"
                raise InvalidParameters([FieldError("as_of", text)])

    def _history_event(self, recorded: Recorded) -> HistoryEvent:
        event = recorded.event
        assert isinstance(event, OrderEvent)
        evidence = getattr(event, "evidence", None)
        return HistoryEvent(
            position=recorded.position,
            version=recorded.version,
            event=event_name(event),
            event_id=event.event_id,
            at=event.at,
            by=event.by,
            trace_id=event.trace_id,
            evidence=None if evidence is None else evidence.value,
            status=event.after.status,
            ord_status=event.after.ord_status,
            filled_quantity=event.after.filled_quantity,
            delivery=event.after.delivery,
            fields=self._own_fields(event),
        )

    def _own_fields(self, event: OrderEvent) -> dict[str, Any]:
        fields = {
            name: printed(self._catalogue, event.after.symbol, value) if isinstance(value, Decimal) else value
            for name, value in msgspec.structs.asdict(event).items()
            if name not in _SHOWN_APART
        }
        built: dict[str, Any] = msgspec.to_builtins(fields)
        return built

    async def _in_thread(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)
