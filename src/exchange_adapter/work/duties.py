"""The table of open duties: a projection of the log, kept by one follower for all adapters.

Any adapter reads from it what is due in the shards that it owns. The follower's own process is also told of each
batch's duties as soon as they are committed, so that an order need not wait for a poll.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from threading import Event
from typing import Any, Protocol
from uuid import UUID

import msgspec
import psycopg
from msgspec import Struct

from exchange_adapter.alert_board import LogAlerts
from exchange_adapter.alerts import Step, without_nul
from exchange_adapter.policy import can_go_on
from exchange_adapter.rematching import note_unmatched
from exchange_adapter.work.duty import Duty, duty_after
from orders.bounds import MAX_STREAM_READ
from orders.domain import events as e
from orders.domain.order import Order, evolve
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.session import Session
from orders.eventstore.sql import load
from orders.eventstore.subscription import Hints
from orders.follower import Follower

FOLLOWER = "exchange_adapter_duties"

_SQL = load("exchange_adapter.work", "duties.sql")
_COLUMNS = (
    "order_id",
    "shard",
    "since_position",
    "position",
    "version",
    "delivery",
    "symbol",
    "attempts",
    "failures",
    "pending_cancel",
    "pending_replace",
    "unwanted",
    "not_before",
    "expires_at",
    "worker",
    "attempted_at",
    "reason",
)

Cursor = psycopg.Cursor[Any]

_SETTLES_REQUESTS = (*e.CancelReplies, *e.ReplaceReplies, e.OrderExpired, e.OrderRejected)


class Changed(Struct, frozen=True):
    """What a batch of the log made of duties. `placed`: the orders of which it has everything, so that nobody need read
    them again."""

    open: tuple[Duty, ...]
    settled: tuple[UUID, ...]
    placed: tuple[Order, ...] = ()


class Known(Struct, frozen=True):
    """What a reader of the table has seen: duties up to the `position`, those that were due at the time."""

    position: int
    at: datetime


class DueDuties(Protocol):
    """Where duties are read from. Blocking; raises StoreUnavailable."""

    def due(self, shards: Collection[int], now: datetime, limit: int, *, known: Known | None = None) -> Sequence[Duty]:
        """The oldest duties that can be worked on now, at most `limit` of each sort: to send, to cancel, in doubt, to
        expire. `known`: none but those that are newer, or have fallen due since."""
        ...


def is_workable(duty: Duty, venue: Capabilities) -> bool:
    """Whether the adapter can do anything about it now or later; what waits for a person must not fill the window."""
    return can_go_on(
        venue, duty.delivery, cancel=duty.pending_cancel, change=duty.pending_replace, unwanted=duty.unwanted
    )


class PostgresDuties:
    """Reads the table. For one thread at a time."""

    def __init__(self, database_url: str, venue: Capabilities) -> None:
        self._session = Session(database_url, "orders adapter duties")
        self._doubts_go_on = can_go_on(venue, Delivery.IN_DOUBT)
        self._cancels = venue.cancels

    def due(self, shards: Collection[int], now: datetime, limit: int, *, known: Known | None = None) -> list[Duty]:
        wanted = {
            "shards": list(shards),
            "now": now,
            "limit": limit,
            "after": 0 if known is None else known.position,
            "since": None if known is None else known.at,
            "doubts_go_on": self._doubts_go_on,
            "cancels": self._cancels,
        }
        return [_duty(row) for row in self._session.rows(_SQL["due"], wanted)]

    def close(self) -> None:
        self._session.close()


class PostgresSentRequests:
    """The requests that went out to a venue which does not repeat its answers. For one thread at a time."""

    def __init__(self, database_url: str) -> None:
        self._session = Session(database_url, "orders adapter requests")

    def claim_request(self, request_id: UUID, order_id: UUID, worker: str) -> bool:
        """Whether this request was never sent before, by anyone; asked before each is sent first. Blocking; raises
        StoreUnavailable."""
        request = {"request_id": request_id, "order_id": order_id, "worker": worker}
        return bool(self._session.rows(_SQL["claim_request"], request))

    def close(self) -> None:
        self._session.close()


class DutyFollower:
    """Keeps the table. `on_change` is called from the follower's thread after each commit."""

    def __init__(
        self,
        store: EventStore,
        direct_url: str,
        hints: Hints,
        *,
        on_change: Callable[[Changed], None],
        alerts: LogAlerts,
        page: int = MAX_STREAM_READ,
    ) -> None:
        self._store = store
        self._page = page
        self._alerts = alerts
        self._on_change = on_change
        self._changed = Changed((), ())
        self.follower = Follower(
            FOLLOWER,
            store,
            direct_url,
            self._apply,
            hints,
            on_start=alerts.start,
            on_commit=lambda batch: self._on_change(self._changed),
        )

    def run(self, stop: Event) -> None:
        self.follower.run(stop)

    def _apply(self, cursor: Cursor, batch: list[Recorded]) -> None:
        steps: list[Step] = []
        look_up = cache(self._look_up)  # an order is folded once a batch, however many of its events ask
        self._changed = apply_batch(cursor, batch, look_up, steps)
        self._alerts.apply(cursor, steps, look_up)
        note_unmatched(cursor, batch, lambda order_id: self._store.read_last(order_id) is not None)

    def _look_up(self, order_id: UUID) -> Order | None:
        """In pages, so that an order of any length is folded whole, in bounded memory."""
        order: Order | None = None
        version = 0
        while page := self._store.read_stream(order_id, after_version=version, limit=self._page):
            for recorded in page:
                if isinstance(recorded.event, e.OrderEvent):
                    order = evolve(order_id, order, recorded.event)
            version = page[-1].version
            if len(page) < self._page:
                break
        return order


def apply_batch(
    cursor: Cursor, batch: Iterable[Recorded], look_up: Callable[[UUID], Order | None], steps: list[Step]
) -> Changed:
    """Writes the batch's duties. `steps` gets each event with its order's duty after it."""
    batch = list(batch)
    touched = {recorded.stream_id for recorded in batch}
    before = {duty.order_id: duty for duty in map(_duty, cursor.execute(_SQL["read"], {"order_ids": list(touched)}))}
    after: dict[UUID, Duty | None] = dict(before)
    for recorded in batch:
        after[recorded.stream_id] = duty_after(after.get(recorded.stream_id), recorded, look_up)
        steps.append(Step(recorded, after[recorded.stream_id]))
    opened = tuple(duty for order_id, duty in after.items() if duty is not None and duty != before.get(order_id))
    settled = tuple(order_id for order_id in touched if after.get(order_id) is None)
    if opened:
        cursor.execute(_SQL["write"], {name: [_stored(duty, name) for duty in opened] for name in _COLUMNS})
    if gone := [order_id for order_id in settled if order_id in before]:
        cursor.execute(_SQL["remove"], {"order_ids": gone})
    settling = {recorded.stream_id for recorded in batch if isinstance(recorded.event, _SETTLES_REQUESTS)}
    if answered := [order_id for order_id in settling if not _asks(after[order_id])]:
        cursor.execute(_SQL["forget_requests"], {"order_ids": answered})
    placed = tuple(_placed(recorded) for recorded in batch if _is_all_of_its_order(recorded, after))
    return Changed(opened, settled, placed)


def _is_all_of_its_order(recorded: Recorded, after: Mapping[UUID, Duty | None]) -> bool:
    duty = after[recorded.stream_id]
    return duty is not None and recorded.version == duty.version == 1


def _placed(recorded: Recorded) -> Order:
    assert isinstance(recorded.event, e.OrderPlaced)
    return evolve(recorded.stream_id, None, recorded.event)


def _asks(duty: Duty | None) -> bool:
    """Whether a request to the venue waits."""
    return duty is not None and (duty.pending_cancel or duty.pending_replace or duty.unwanted)


def _stored(duty: Duty, name: str) -> object:
    value = getattr(duty, name)
    if isinstance(value, Delivery):
        return value.value
    return without_nul(value) if isinstance(value, str) else value


def _duty(row: Any) -> Duty:
    return msgspec.convert(dict(zip(_COLUMNS, row, strict=True)), Duty)
