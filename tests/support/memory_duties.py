"""The adapter's table of duties, in memory and as up to date as the log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from exchange_adapter.work.duties import Known, is_workable
from exchange_adapter.work.duty import Duty, duty_after
from orders.domain.events import OrderEvent
from orders.domain.order import Order, fold
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.memory import MemoryEventStore


class MemoryDuties:
    """The table of duties, as up to date as the log."""

    def __init__(self, store: MemoryEventStore, venue: Capabilities) -> None:
        self._store = store
        self._venue = venue
        self._position = 0
        self._duties: dict[UUID, Duty] = {}
        self.sent_requests: set[UUID] = set()

    @property
    def open(self) -> dict[UUID, Duty]:
        for recorded in self._store.read_log(after=self._position, limit=1_000_000):
            after = duty_after(self._duties.pop(recorded.stream_id, None), recorded, self._look_up)
            if after is not None:
                self._duties[recorded.stream_id] = after
            self._position = recorded.position
        return self._duties

    def due(self, shards: Collection[int], now: datetime, limit: int, *, known: Known | None = None) -> Sequence[Duty]:
        due = [duty for duty in self.open.values() if duty.shard in shards and self._is_due(duty, now)]
        if known is not None:
            due = [duty for duty in due if duty.position > known.position or _fell_due(duty, known.at)]
        return sorted(due, key=lambda duty: duty.since_position)[:limit]

    def claim_request(self, request_id: UUID, order_id: UUID, worker: str) -> bool:
        fresh = request_id not in self.sent_requests
        self.sent_requests.add(request_id)
        return fresh

    def _is_due(self, duty: Duty, now: datetime) -> bool:
        unsent = duty.delivery in (Delivery.QUEUED, Delivery.PARKED)
        if unsent and duty.expires_at is not None and duty.expires_at <= now:
            return True
        return is_workable(duty, self._venue) and (duty.not_before is None or duty.not_before <= now)

    def _look_up(self, order_id: UUID) -> Order | None:
        events = (r.event for r in self._store.read_stream(order_id))
        return fold(order_id, (event for event in events if isinstance(event, OrderEvent)))


def _fell_due(duty: Duty, since: datetime) -> bool:
    return any(at is not None and at > since for at in (duty.not_before, duty.expires_at))
