"""An order that waits for a person, or may soon: what is known of it, and what can be done about it now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from exchange_adapter.policy import Limits, unanswered_after_s
from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.order import Order, evolve
from orders.domain.resource import printed
from orders.domain.values import Capabilities, Delivery, Phase, Side

HELD = (Delivery.IN_DOUBT, Delivery.PARKED)


class Told(Struct, frozen=True, kw_only=True):
    """What an order's events tell. `held_since` is the time of the event since which it is parked, or an attempt of it
    in doubt; None where it is neither. `claims` are the times at which its attempts were claimed."""

    order: Order
    held_since: datetime | None
    claims: Mapping[int, datetime]


class LastTry(Struct, frozen=True, kw_only=True):
    """`reason` is that of the last failure, doubt or parking."""

    worker: str | None = None
    worker_alive: bool = False
    attempted_at: datetime | None = None
    reason: str | None = None


class HeldOrder(Struct, frozen=True, kw_only=True):
    """`needs_person`: the adapter does not settle it. `can` names what can be done: retry a parked order, resolve one
    in doubt. `not_placed_from` is when a person's word that it was not placed counts."""

    order_id: UUID
    account: str
    client_order_id: str | None
    symbol: str
    side: Side
    quantity: int
    limit_price: str | None
    delivery: Delivery
    attempts: int
    attempts_in_doubt: list[int]
    worker: str | None
    worker_alive: bool
    attempted_at: datetime | None
    since: datetime
    reason: str | None
    pending: list[str]
    needs_person: bool
    can: list[str]
    not_placed_from: datetime | None


def told_by(order_id: UUID, events: Iterable[e.OrderEvent]) -> Told | None:
    """None where there are no events."""
    order: Order | None = None
    held_since: datetime | None = None
    claims: dict[int, datetime] = {}
    for event in events:
        order = evolve(order_id, order, event)
        if isinstance(event, e.SubmitStarted):
            claims[event.attempt] = event.at
        if not order.in_doubt and order.delivery is not Delivery.PARKED:
            held_since = None
        elif held_since is None:
            held_since = event.at
    return None if order is None else Told(order=order, held_since=held_since, claims=claims)


def is_held(order: Order) -> bool:
    return order.phase is Phase.OPEN and order.delivery in HELD


def not_placed_counts_after_s(venue: Capabilities, limits: Limits) -> float:
    """How long after an attempt's claim the venue surely has the order, if it ever will. A venue that declares no
    late-arrival bound may take it even later: for the rest stands the word of the person."""
    return unanswered_after_s(limits) + (venue.late_arrival_s or 0.0)


def not_placed_from(order: Order, claims: Mapping[int, datetime], after_s: float) -> datetime | None:
    """When "not placed" counts: so long after the newest attempt in doubt was claimed. None where none is in doubt."""
    if not order.in_doubt:
        return None
    claimed_at = claims.get(max(order.in_doubt), order.attempted_at)
    return None if claimed_at is None else claimed_at + timedelta(seconds=after_s)


def shown(told: Told, last: LastTry, catalogue: Catalogue, after_s: float, *, needs_person: bool) -> HeldOrder:
    """Of an order that is held."""
    order = told.order
    symbol, price = order.placed.traded, order.limit_price
    in_doubt = order.delivery is Delivery.IN_DOUBT
    return HeldOrder(
        order_id=order.id,
        account=order.account,
        client_order_id=order.client_order_id,
        symbol=symbol,
        side=order.placed.side,
        quantity=order.quantity,
        limit_price=None if price is None else printed(catalogue, symbol, price),
        delivery=order.delivery,
        attempts=order.attempts,
        attempts_in_doubt=sorted(order.in_doubt),
        worker=last.worker,
        worker_alive=last.worker_alive,
        attempted_at=last.attempted_at,
        since=told.held_since or order.updated_at,
        reason=last.reason,
        pending=_pending(order),
        needs_person=needs_person,
        can=["resolve"] if in_doubt else ["retry"],
        not_placed_from=not_placed_from(order, told.claims, after_s),
    )


def _pending(order: Order) -> list[str]:
    waiting = {"cancel": order.pending_cancel, "replace": order.pending_replace}
    return [name for name, request in waiting.items() if request is not None]
