"""The port to a stock exchange: what a venue can be asked, and what can come of it.

Methods block and are called from a bounded pool of threads, several at once. Each should end within the call timeout;
one that does not is in doubt, and keeps its thread until it returns. Whatever a method raises counts as Unknown.

| outcome | means |
| --- | --- |
| Placed | the venue has the order |
| Done | the cancel or replace was carried out |
| Refused | the venue's own word: it will not |
| UnknownOrder | the venue does not know the order that is to be canceled or replaced |
| NotSent | surely nothing reached the venue, or it surely did nothing: try again |
| Unknown | no one knows |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import Struct

from orders.domain.order import Order
from orders.domain.values import Capabilities, OrderType, Side, TimeInForce


class VenueOrder(Struct, frozen=True, kw_only=True):
    """An order as a venue sees it. `symbol` is the instrument code where one was given. `order_id` is what a venue that
    deduplicates recognizes a repeat by."""

    order_id: UUID
    symbol: str
    side: Side
    type: OrderType
    quantity: int
    limit_price: Decimal | None
    time_in_force: TimeInForce
    created_at: datetime


class CancelRequest(Struct, frozen=True, kw_only=True):
    """`request_id` is FIX ClOrdID (tag 11), `base` OrigClOrdID (tag 41): the terms that it builds on."""

    order_id: UUID
    request_id: UUID
    base: UUID


class ReplaceRequest(Struct, frozen=True, kw_only=True):
    """`quantity` is the new total, what is filled included."""

    order_id: UUID
    request_id: UUID
    base: UUID
    quantity: int
    limit_price: Decimal | None


class Placed(Struct, frozen=True):
    venue_order_id: str | None = None


class Done(Struct, frozen=True):
    """For a replace, the terms now in force where the venue says them."""

    quantity: int | None = None
    limit_price: Decimal | None = None


class Refused(Struct, frozen=True):
    reason: str


class UnknownOrder(Struct, frozen=True):
    reason: str = "unknown order"


class NotSent(Struct, frozen=True):
    reason: str


class Unknown(Struct, frozen=True):
    reason: str


SubmitOutcome = Placed | Refused | NotSent | Unknown
RequestOutcome = Done | Refused | UnknownOrder | NotSent | Unknown


class VenueState(StrEnum):
    WORKING = "working"
    EXECUTED = "executed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class VenueExecution(Struct, frozen=True, kw_only=True):
    exec_id: str
    quantity: int
    price: Decimal


class Found(Struct, frozen=True, kw_only=True):
    """The venue has the order. `executions` may be the first ones only: they are all where their quantities sum to
    `filled`. `terms_id` is the id of the terms in force (the last request that went through), None where not told."""

    state: VenueState
    venue_order_id: str | None = None
    quantity: int | None = None
    limit_price: Decimal | None = None
    filled: int = 0
    executions: tuple[VenueExecution, ...] = ()
    terms_id: str | None = None
    reason: str | None = None


class NotFound(Struct, frozen=True):
    pass


QueryOutcome = Found | NotFound | NotSent | Unknown
Outcome = Placed | Done | Refused | UnknownOrder | NotSent | Unknown | Found | NotFound


class ReportKind(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FILLED = "filled"
    CANCELED = "canceled"
    REPLACED = "replaced"
    CANCEL_REJECTED = "cancel_rejected"
    REPLACE_REJECTED = "replace_rejected"
    EXPIRED = "expired"
    BUSTED = "busted"
    CORRECTED = "corrected"


class Report(Struct, frozen=True, kw_only=True):
    """An execution report. `order_ref` is our order id as the venue wrote it. `raw` is the report as it
    came: an object of JSON, or any bytes, which are kept as text."""

    seq: int
    kind: ReportKind
    order_ref: str
    venue_order_id: str | None = None
    exec_id: str | None = None
    ref_exec_id: str | None = None
    request_id: str | None = None
    quantity: int | None = None
    price: Decimal | None = None
    limit_price: Decimal | None = None
    leaves: int | None = None
    reason: str | None = None
    raw: bytes = b""


class ReportPosition(Struct, frozen=True):
    """`seq` numbers the reports of `source` (a journal, a session) from 1 without a hole."""

    source: str | None = None
    seq: int = 0


class ReportStream(Protocol):
    """The reports after a position, in order, without a gap or a repeat. Whatever else its methods or `Venue.reports`
    raise counts as ReportsLost."""

    source: str | None

    def next_batch(self, limit: int, timeout_s: float) -> Sequence[Report]:
        """What is there, at least one report if any comes within `timeout_s`. Raises ReportsLost."""
        ...

    def close(self) -> None: ...


class Venue(Protocol):
    """A venue class declares `capabilities`; methods for what it cannot do are never called (raise what you like).

    `module:Class` in EXCHANGE is called without arguments.
    """

    capabilities: ClassVar[Capabilities]

    def submit(self, order: VenueOrder) -> SubmitOutcome: ...

    def cancel(self, request: CancelRequest) -> RequestOutcome: ...

    def replace(self, request: ReplaceRequest) -> RequestOutcome: ...

    def query(self, order_id: UUID) -> QueryOutcome: ...

    def reports(self, after: ReportPosition) -> ReportStream:
        """Raises ReportsLost where it cannot be opened now, OtherJournal where `after` is of another source."""
        ...

    def close(self) -> None:
        """Ends connections; calls under way end as Unknown."""
        ...


def venue_order(order: Order) -> VenueOrder:
    placed = order.placed
    return VenueOrder(
        order_id=order.id,
        symbol=placed.traded,
        side=placed.side,
        type=placed.type,
        quantity=order.quantity,
        limit_price=order.limit_price,
        time_in_force=placed.time_in_force,
        created_at=order.created_at,
    )
