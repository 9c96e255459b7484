"""What a command makes happen: `decide(order, command, rules) -> events`.

Here are the commands of clients, operators and the clock; `venue_word.py` has those that record what the venue said,
`story.py` what follows for requests that wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import (
    FieldError,
    InvalidOrder,
    NotApplicable,
    OrderEnded,
    RequestPending,
    UnknownOrder,
    VenueCannot,
)
from orders.domain.fitness import unfit
from orders.domain.order import Order
from orders.domain.story import Story
from orders.domain.terms import (
    Rules,
    instrument_of,
    price_errors,
    price_presence_errors,
    quantity_errors,
    refused_terms,
)
from orders.domain.values import Delivery, Evidence, OrderView, Phase, TimeInForce
from orders.domain.venue_word import VENUE_DECISIONS

_NOT_SENT = (Delivery.QUEUED, Delivery.PARKED)


def decide(order: Order | None, command: c.Command, rules: Rules) -> list[e.AnyOrderEvent]:
    """The events that the command causes, in order; empty where it changes nothing (a repeat, or late evidence).

    Raises: a `Refusal` where the command may not happen.
    """
    if isinstance(command, c.PlaceOrder):
        if order is not None:
            raise NotApplicable(f"order {command.order_id} exists")
        return [_place(command, rules)]
    if order is None:
        raise UnknownOrder(command.order_id)
    return tell(order, command, rules).events


def tell(order: Order, command: c.Command, rules: Rules) -> Story:
    """What `decide` says of an order that exists, and with it the order after the events.

    Raises: a `Refusal` where the command may not happen.
    """
    reason = unfit(command)
    if reason is not None:
        raise NotApplicable(reason)
    story = Story(order, command, rules)
    _DECISIONS[type(command)](story, command)
    return story


def _place(command: c.PlaceOrder, rules: Rules) -> e.OrderPlaced:
    errors = refused_terms(command.terms, rules)
    if errors:
        raise InvalidOrder(errors)
    terms = command.terms
    after = OrderView(
        account=command.account,
        symbol=terms.traded,
        instrument=terms.instrument,
        quantity=terms.quantity,
        side=terms.side,
        type=terms.type,
        client_order_id=command.client_order_id,
        limit_price=terms.limit_price,
        time_in_force=terms.time_in_force,
        created_at=command.at,
    )
    return e.OrderPlaced(
        event_id=command.command_id, at=command.at, by=command.by, trace_id=command.trace_id, after=after
    )


def _cancel(story: Story, command: c.CancelOrder) -> None:
    order = story.order
    if order.phase is not Phase.OPEN:
        raise OrderEnded(order.id, order.phase)
    if order.pending_cancel is not None:
        raise RequestPending(order.id, "cancel")
    if order.delivery in _NOT_SENT:
        story.tell(e.OrderCanceled, evidence=Evidence.NEVER_PLACED)
    elif order.delivery is Delivery.ACKED and not story.venue.cancels:
        raise VenueCannot("cancel")
    else:
        story.tell(e.CancelRequested)


def _replace(story: Story, command: c.ReplaceOrder) -> None:
    order = story.order
    if order.phase is not Phase.OPEN:
        raise OrderEnded(order.id, order.phase)
    if order.pending_cancel is not None or order.pending_replace is not None:
        raise RequestPending(order.id, "cancel" if order.pending_cancel is not None else "replace")
    _check_new_terms(story, command)
    quantity = command.quantity if command.quantity is not None else order.quantity
    price = command.limit_price if command.limit_price is not None else order.limit_price
    if (quantity, price) == (order.quantity, order.limit_price):
        return
    if order.delivery in _NOT_SENT:
        story.tell(e.OrderReplaced, quantity=quantity, limit_price=price, evidence=Evidence.NEVER_PLACED)
    elif order.delivery is Delivery.ACKED and not story.venue.replaces:
        raise VenueCannot("replace")
    else:
        story.tell(e.ReplaceRequested, quantity=quantity, limit_price=price)


def _check_new_terms(story: Story, command: c.ReplaceOrder) -> None:
    order = story.order
    instrument = instrument_of(order.placed, story.catalogue)
    errors: list[FieldError] = []
    if command.quantity is not None:
        errors += quantity_errors(command.quantity, instrument)
        if not errors and command.quantity < order.filled:
            errors.append(FieldError("quantity", f"Quantity must be at least what is already filled: {order.filled}"))
    if command.limit_price is not None:
        errors += price_presence_errors(order.placed.type, command.limit_price)
        errors += price_errors(command.limit_price, instrument)
    if errors:
        raise InvalidOrder(tuple(errors))


def _expire_unsent(story: Story, command: c.ExpireUnsent) -> None:
    order = story.order
    unsent = order.phase is Phase.OPEN and order.delivery in _NOT_SENT
    if not unsent or order.placed.time_in_force is not TimeInForce.DAY:
        raise NotApplicable(f"order {order.id} is no day order that was never sent")
    story.tell(e.OrderExpired, evidence=Evidence.NEVER_PLACED, reason="the day ended before it was sent")


def _park(story: Story, command: c.ParkPlacement) -> None:
    _require(story.order, Delivery.QUEUED)
    story.tell(e.PlacementParked, reason=command.reason)


def _resume(story: Story, command: c.ResumePlacement) -> None:
    _require(story.order, Delivery.PARKED)
    story.tell(e.PlacementResumed, reason=command.reason)


def _resolve(story: Story, command: c.ResolveDoubt) -> None:
    _require(story.order, Delivery.IN_DOUBT)
    attempts = tuple(sorted(story.order.in_doubt))
    story.tell(e.OperatorResolved, placed=command.placed, reason=command.reason, attempts=attempts)


def _require(order: Order, delivery: Delivery) -> None:
    if order.phase is not Phase.OPEN or order.delivery is not delivery:
        state = f"{order.phase.value} and {order.delivery.value}"
        raise NotApplicable(f"Order with ID: {order.id} is {state}, not {delivery.value}")


_DECISIONS: dict[type[c.Command], Callable[[Story, Any], None]] = {
    c.CancelOrder: _cancel,
    c.ReplaceOrder: _replace,
    c.ExpireUnsent: _expire_unsent,
    c.ParkPlacement: _park,
    c.ResumePlacement: _resume,
    c.ResolveDoubt: _resolve,
    **VENUE_DECISIONS,
}
