"""One order, straight from the log: never stale, as it is or as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from orders.domain.errors import FieldError, UnknownOrder
from orders.domain.events import OrderEvent
from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.read_threads import ReadThreads
from orders.parameters import Asked
from orders.request_errors import InvalidParameters
from projections.bounds import MAX_AS_OF_READ, MAX_HISTORY_READ
from projections.freshness import Freshness
from projections.history import HistoryEvent, history_event, shown
from projections.queries import Answer, HistoryQuery, OrderQuery


class OrderReads:
    """All methods raise, beside what they name: UnknownOrder, also for another account's order; InvalidParameters for
    a position beyond the log's head, or a time that is still to come; EventStoreError. Reads of the store run in
    `threads`."""

    def __init__(
        self,
        store: EventStore,
        freshness: Freshness,
        catalogue: Catalogue,
        threads: ReadThreads,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._freshness = freshness
        self._catalogue = catalogue
        self._threads = threads
        self._now = now

    async def order(self, query: OrderQuery, asked: Asked) -> Answer[OrderResource]:
        """As it is: its last event says all about it. As it was: that of the last event up to then."""
        last, required = await self._last(query, asked)
        position = last.position if query.as_of is not None else max(last.position, required)
        return Answer(content=shown(last, self._catalogue), position=position)

    async def history(self, query: HistoryQuery, asked: Asked) -> Answer[list[HistoryEvent]]:
        """Oldest first."""
        whole = OrderQuery(account=query.account, order_id=query.order_id, as_of=query.as_of)
        last, required = await self._last(whole, asked)
        # One before the page too: what an event changed is told by the one before it.
        known = max(query.after_version - 1, 0)
        read = await self._threads.run(
            lambda: self._store.read_stream(query.order_id, after_version=known, limit=query.limit + 1)
        )
        events = [one for one in read if query.after_version < one.version <= last.version][: query.limit]
        before = {one.version + 1: one for one in read}
        more = len(events) == query.limit and events[-1].version < last.version
        return Answer(
            content=[history_event(one, before.get(one.version), self._catalogue) for one in events],
            position=last.position if query.as_of is not None else max(last.position, required),
            next=events[-1].version if more else None,
        )

    async def _last(self, query: OrderQuery, asked: Asked) -> tuple[Recorded, int]:
        """The order's last event, up to `as_of`, and the position that the answer may claim at least."""
        required = await self._freshness.require(asked)
        as_of, order_id = query.as_of, query.order_id
        if isinstance(as_of, datetime):
            self._check_past(as_of)
            last = await self._threads.run(lambda: self._last_by(order_id, as_of))
        else:
            if as_of is not None:
                await self._freshness.check_exists("as_of", as_of)
            last = await self._threads.run(lambda: self._store.read_last(order_id, as_of_position=as_of))
        if last is None or not isinstance(last.event, OrderEvent):
            raise UnknownOrder(order_id)
        if query.account not in (None, last.event.after.account):
            raise UnknownOrder(order_id)
        return last, required

    def _check_past(self, time: datetime) -> None:
        """How an order will be nobody knows: an answer now would be another one later."""
        now = self._now()
        if time > now:
            text = f"The time {time.isoformat()} is still to come; here it is {now.isoformat()}"
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
