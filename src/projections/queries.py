"""What can be asked of the read side, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from orders.domain.values import Side, Status
from projections.bounds import DEFAULT_BOOK_LEVELS, MAX_PAGE

T = TypeVar("T")


class OrdersQuery(Struct, frozen=True, kw_only=True):
    """Filters are None where they let everything pass; `as_of` is a position of the log; `before` is where the last
    page ended."""

    account: str
    status: Status | None = None
    symbol: str | None = None
    side: Side | None = None
    client_order_id: str | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None
    as_of: int | None = None
    limit: int = MAX_PAGE
    before: int | None = None


class TradesQuery(Struct, frozen=True, kw_only=True):
    account: str
    order_id: UUID | None = None
    symbol: str | None = None
    limit: int = MAX_PAGE
    before: int | None = None


class ListQuery(Struct, frozen=True, kw_only=True):
    """Rows of a projection's own list; `after` is the place behind which the page begins."""

    account: str
    symbol: str | None = None
    limit: int = MAX_PAGE
    after: str | None = None


class BookQuery(Struct, frozen=True, kw_only=True):
    account: str
    symbol: str
    levels: int = DEFAULT_BOOK_LEVELS


class OrderQuery(Struct, frozen=True, kw_only=True):
    """One order: as it is, or as it was after a position of the log or at a time. `account` is None where it may be
    anybody's."""

    account: str | None
    order_id: UUID
    as_of: int | datetime | None = None


class HistoryQuery(Struct, frozen=True, kw_only=True):
    """One order's events after a version, oldest first. `account` is None where it may be anybody's order."""

    account: str | None
    order_id: UUID
    as_of: int | datetime | None = None
    limit: int = MAX_PAGE
    after_version: int = 0


class Answer(Struct, Generic[T], frozen=True, kw_only=True):
    """`content` is what the log says up to `position`, at least; `next` is where a following page begins."""

    content: T
    position: int
    next: int | str | None = None


class Trade(Struct, frozen=True, kw_only=True):
    """A fill that counts. `corrects` is the exec_id of the fill whose place it took. What its order has traded in all,
    fills of other pages included, stands beside it: quantity, and average price rounded half-even to 8 places."""

    exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: Side
    quantity: int
    price: str
    time: datetime
    position: int
    corrects: str | None
    order_traded_quantity: int
    order_average_price: str | None


class FollowerFailure(Struct, frozen=True, kw_only=True):
    """The event at `position` could not be read or applied. It is tried again and again, and nothing is skipped."""

    position: int
    reason: str
    since: datetime


class AskedRebuild(Struct, frozen=True):
    """The last rebuild of a projection that an operator asked for. `state` is asked, running, done or failed; `target`
    is where the log or the live tables were when it told of itself last."""

    state: str
    asked_at: datetime
    asked_by: str
    started_at: datetime | None
    ended_at: datetime | None
    phase: str | None
    position: int | None
    target: int | None
    events_per_s: float | None
    outcome: str | None


class ProjectionLag(Struct, frozen=True, kw_only=True):
    """How far a projection is behind the log, in events, whether a projector keeps it just now, what has stopped it,
    and how its rebuild is. Each swap of its tables raises `generation`."""

    name: str
    position: int
    lag_events: int
    followed: bool
    failed: FollowerFailure | None = None
    generation: int = 0
    rebuild: AskedRebuild | None = None
