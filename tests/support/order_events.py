"""The events of an order, for given/when/then: each with what it usually says, and anything else on request.

Who, when, event ids and the order after the event are not told here: `given` judges them for itself.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from orders.domain import events as e
from orders.domain.values import Evidence, OrderType, OrderView

ORDER_ID = UUID("0192d3a0-0000-7000-8000-000000000001")
COMMAND_ID = UUID("0192d3a0-0000-7000-8000-000000000002")
CANCEL_ID = UUID("0192d3a0-0000-7000-8000-00000000000c")
REPLACE_ID = UUID("0192d3a0-0000-7000-8000-00000000000d")
ELSE_ID = UUID("0192d3a0-0000-7000-8000-0000000000ff")
"""Of a request that nobody here made."""

OPENING = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
PRICE = Decimal("1.10")

_ANY = OrderView(account="local", symbol="EURUSD", quantity=10)
E = TypeVar("E", bound=e.OrderEvent)


def told(kind: type[E], *, event_id: UUID = ELSE_ID, after: OrderView = _ANY, **fields: Any) -> E:
    return kind(event_id=event_id, at=OPENING, by="client", after=after, **fields)


def placed(quantity: int = 10, *, limit: str | None = None, **terms: Any) -> e.OrderPlaced:
    """A market order, or a limit order where there is a limit."""
    if limit is not None:
        terms |= {"type": OrderType.LIMIT, "limit_price": Decimal(limit)}
    terms = {"account": "local", "symbol": terms.get("instrument", "EURUSD"), "created_at": OPENING, **terms}
    return told(e.OrderPlaced, after=OrderView(quantity=quantity, **terms))


def started(attempt: int = 1, worker: str = "worker-1") -> e.SubmitStarted:
    return told(e.SubmitStarted, attempt=attempt, worker=worker)


def failed(*attempts: int, evidence: Evidence = Evidence.VENUE_ANSWER) -> e.SubmitFailed:
    return told(e.SubmitFailed, attempts=attempts or (1,), reason="refused", evidence=evidence)


def doubted(attempt: int = 1) -> e.SubmitInDoubt:
    return told(e.SubmitInDoubt, attempt=attempt, reason="timeout")


def accepted(venue_order_id: str | None = "V-1", evidence: Evidence = Evidence.VENUE_ANSWER) -> e.OrderAccepted:
    return told(e.OrderAccepted, venue_order_id=venue_order_id, evidence=evidence)


def rejected(reason: str = "no such market") -> e.OrderRejected:
    return told(e.OrderRejected, reason=reason)


def executed(
    exec_id: str, quantity: int = 4, *, price: Decimal | str = PRICE, leaves: int | None = None
) -> e.OrderExecuted:
    return told(e.OrderExecuted, exec_id=exec_id, quantity=quantity, price=Decimal(price), leaves=leaves)


def busted(ref: str, exec_id: str = "bust") -> e.ExecutionBusted:
    return told(e.ExecutionBusted, exec_id=exec_id, ref_exec_id=ref)


def corrected(
    ref: str, quantity: int, exec_id: str = "correction", *, price: Decimal | str = PRICE
) -> e.ExecutionCorrected:
    return told(e.ExecutionCorrected, exec_id=exec_id, ref_exec_id=ref, quantity=quantity, price=Decimal(price))


def cancel_requested() -> e.CancelRequested:
    return told(e.CancelRequested, event_id=CANCEL_ID)


def canceled(
    evidence: Evidence = Evidence.VENUE_REPORT, *, request_id: UUID | None = None, reason: str | None = None
) -> e.OrderCanceled:
    return told(e.OrderCanceled, evidence=evidence, request_id=request_id, reason=reason)


def cancel_rejected(
    reason: str, evidence: Evidence = Evidence.VENUE_REPORT, *, request_id: UUID | None = CANCEL_ID
) -> e.CancelRejected:
    return told(e.CancelRejected, evidence=evidence, reason=reason, request_id=request_id)


def replace_requested(
    quantity: int = 20, limit: str | None = None, *, request_id: UUID = REPLACE_ID
) -> e.ReplaceRequested:
    return told(e.ReplaceRequested, event_id=request_id, quantity=quantity, limit_price=_price(limit))


def replaced(
    quantity: int = 20,
    limit: str | None = None,
    *,
    evidence: Evidence = Evidence.VENUE_REPORT,
    request_id: UUID | None = REPLACE_ID,
    late: bool = False,
) -> e.OrderReplaced:
    terms: dict[str, Any] = {"quantity": quantity, "limit_price": _price(limit)}
    return told(e.OrderReplaced, **terms, evidence=evidence, request_id=request_id, late=late)


def replace_rejected(
    reason: str, evidence: Evidence = Evidence.VENUE_REPORT, *, request_id: UUID | None = REPLACE_ID
) -> e.ReplaceRejected:
    return told(e.ReplaceRejected, evidence=evidence, reason=reason, request_id=request_id)


def expired(evidence: Evidence = Evidence.VENUE_REPORT, reason: str | None = None) -> e.OrderExpired:
    return told(e.OrderExpired, evidence=evidence, reason=reason)


def parked(reason: str = "8 failed attempts") -> e.PlacementParked:
    return told(e.PlacementParked, reason=reason)


def resumed(reason: str = "mended") -> e.PlacementResumed:
    return told(e.PlacementResumed, reason=reason)


def resolved(*, placed: bool, attempts: tuple[int, ...] = (1,)) -> e.OperatorResolved:
    return told(e.OperatorResolved, placed=placed, reason="asked by phone", attempts=attempts)


def _price(limit: str | None) -> Decimal | None:
    return None if limit is None else Decimal(limit)
