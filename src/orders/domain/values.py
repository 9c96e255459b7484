"""The words of the domain: sides, order types, prices, identifiers, and what a client sees of an order."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation, Rounded
from enum import StrEnum
from uuid import UUID, uuid5

import msgspec

ORDER_NAMESPACE = UUID("5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01")
"""Fixed for ever: a key's order id is derived from it, so a change would place repeated orders twice."""

EXACT = Context(prec=200, traps=[Inexact, Rounded, InvalidOperation])
"""Arithmetic that raises rather than rounds; notionals of 1e9 x 18 digits over any number of fills fit."""

AVERAGE_PLACES = Decimal("1e-8")
_ROUNDING = Context(prec=200, rounding=ROUND_HALF_EVEN)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """FIX 4.4 tag 59: GTC 1, day 0, IOC 3, FOK 4."""

    GTC = "gtc"
    DAY = "day"
    IOC = "ioc"
    FOK = "fok"


class Phase(StrEnum):
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Delivery(StrEnum):
    """How far the order is on its way to the venue."""

    QUEUED = "queued"
    SENDING = "sending"
    ACKED = "acked"
    IN_DOUBT = "in_doubt"
    PARKED = "parked"


class Status(StrEnum):
    """What everyone understands."""

    PLACED = "Placed"
    EXECUTED = "Executed"
    CANCELED = "Canceled"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class OrdStatus(StrEnum):
    """FIX 4.4 tag 39, the names that these orders can have."""

    PENDING_CANCEL = "PendingCancel"
    PENDING_REPLACE = "PendingReplace"
    FILLED = "Filled"
    CANCELED = "Canceled"
    EXPIRED = "Expired"
    REJECTED = "Rejected"
    PARTIALLY_FILLED = "PartiallyFilled"
    NEW = "New"
    PENDING_NEW = "PendingNew"


class Evidence(StrEnum):
    """Why an event may say that something ended or is settled."""

    VENUE_ANSWER = "venue_answer"  # the call's return, or its declared error
    VENUE_REPORT = "venue_report"  # an execution report
    VENUE_QUERY = "venue_query"  # the answer to a question about the order
    VENUE_CANNOT = "venue_cannot"  # the venue has no such operation
    NEVER_PLACED = "never_placed"  # the venue surely never had the order
    NEVER_SENT = "never_sent"  # the attempt surely never left
    OPERATOR = "operator"  # a person said so


VENUES_WORD = frozenset({Evidence.VENUE_ANSWER, Evidence.VENUE_REPORT, Evidence.VENUE_QUERY})


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue can do; declared by the venue's class, read by `decide` and the adapter's policy.

    `resends_in_doubt` alone is not the venue's to say: it is the operator's choice (ON_DOUBT).
    """

    deduplicates: bool = False  # a second submit with the same order id is answered like the first
    queries: bool = False  # tells whether it has an order
    cancels: bool = False
    replaces: bool = False
    reports: bool = False  # sends execution reports
    repeats_answers: bool = False  # a known cancel or replace id gets its first answer again, a stale base is refused
    late_arrival_s: float | None = None  # a submit may still arrive this long after its call ended; None: unknown
    order_types: frozenset[OrderType] = frozenset(OrderType)
    times_in_force: frozenset[TimeInForce] = frozenset(TimeInForce)
    resends_in_doubt: bool = False  # what nothing else can settle is sent again, and may be placed twice

    @property
    def resends_blindly(self) -> bool:
        """Whether an order in doubt is sent again although the venue may have it, and would take it for another one."""
        return self.resends_in_doubt and not (self.deduplicates or self.queries)


class OrderView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An order as clients see it after an event; each event of an order carries the one after it.

    `average_price` is rounded half-even to 8 places; the exact notional stays in the order. `executed_at` is the time
    of the event that completed the order, None while it is not complete.
    """

    account: str
    symbol: str
    quantity: int
    side: Side = Side.BUY
    type: OrderType = OrderType.MARKET
    client_order_id: str | None = None
    instrument: str | None = None
    limit_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    filled_quantity: int = 0
    average_price: Decimal | None = None
    status: Status = Status.PLACED
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    delivery: Delivery = Delivery.QUEUED
    created_at: datetime | None = None
    executed_at: datetime | None = None


def order_id_for_key(account: str, key: str) -> UUID:
    """The id of the order that `account` names `key` (RFC 9562 UUIDv5): the store's uniqueness makes it one a key."""
    return uuid5(ORDER_NAMESPACE, f"{account}\x1f{key}")


def rounded_average(notional: Decimal, filled: int) -> Decimal | None:
    """`notional / filled` rounded half-even to 8 places; None where nothing is filled."""
    if filled <= 0:
        return None
    return _ROUNDING.quantize(_ROUNDING.divide(notional, Decimal(filled)), AVERAGE_PLACES)
