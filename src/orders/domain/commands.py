"""What can be asked of an order, in the imperative.

A command brings the time and the ids that its events will have, so that deciding stays pure: `command_id` becomes
the first event's id, the following ones are derived from it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from orders.domain.values import Evidence, OrderType, Side, TimeInForce


class Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a client asked for, after defaults and normalization; two requests are the same when these are equal.

    Exactly one of `symbol` and `instrument` is set.
    """

    symbol: str | None = None
    instrument: str | None = None
    quantity: int
    side: Side = Side.BUY
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC

    @property
    def traded(self) -> str:
        return self.symbol or self.instrument or ""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    order_id: UUID
    command_id: UUID
    at: datetime
    by: str
    trace_id: str | None = None


# From clients


class PlaceOrder(Command, frozen=True, kw_only=True):
    account: str
    terms: Terms
    client_order_id: str | None = None


class CancelOrder(Command, frozen=True, kw_only=True):
    pass


class ReplaceOrder(Command, frozen=True, kw_only=True):
    """New total quantity, new limit price; None leaves one as it is."""

    quantity: int | None = None
    limit_price: Decimal | None = None


# From the adapter's calls


class StartSubmit(Command, frozen=True, kw_only=True):
    worker: str


class RecordSubmitFailed(Command, frozen=True, kw_only=True):
    """`attempts` surely did not arrive: a declared error of one call, or a venue's "not found" for all in doubt."""

    attempts: tuple[int, ...]
    reason: str
    evidence: Evidence = Evidence.VENUE_ANSWER


class RecordSubmitInDoubt(Command, frozen=True, kw_only=True):
    attempt: int
    reason: str


class RecordAccepted(Command, frozen=True, kw_only=True):
    venue_order_id: str | None = None
    evidence: Evidence = Evidence.VENUE_ANSWER


class RecordRejected(Command, frozen=True, kw_only=True):
    """`attempt`: the one that was answered so; None for the venue's word on the order itself."""

    reason: str
    attempt: int | None = None
    evidence: Evidence = Evidence.VENUE_ANSWER


class RecordCanceled(Command, frozen=True, kw_only=True):
    request_id: UUID | None = None
    reason: str | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


class RecordCancelRejected(Command, frozen=True, kw_only=True):
    reason: str
    request_id: UUID | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


class RecordReplaced(Command, frozen=True, kw_only=True):
    quantity: int
    limit_price: Decimal | None = None
    request_id: UUID | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


class RecordReplaceRejected(Command, frozen=True, kw_only=True):
    reason: str
    request_id: UUID | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


# From the venue's reports


class RecordExecution(Command, frozen=True, kw_only=True):
    exec_id: str
    quantity: int
    price: Decimal
    leaves: int | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


class RecordBust(Command, frozen=True, kw_only=True):
    exec_id: str
    ref_exec_id: str


class RecordCorrection(Command, frozen=True, kw_only=True):
    exec_id: str
    ref_exec_id: str
    quantity: int
    price: Decimal


class RecordExpired(Command, frozen=True, kw_only=True):
    reason: str | None = None
    evidence: Evidence = Evidence.VENUE_REPORT


# From the clock and from operators


class ExpireUnsent(Command, frozen=True, kw_only=True):
    """The day of a day order is over."""


class ParkPlacement(Command, frozen=True, kw_only=True):
    reason: str


class ResumePlacement(Command, frozen=True, kw_only=True):
    reason: str


class ResolveDoubt(Command, frozen=True, kw_only=True):
    placed: bool
    reason: str
