"""Busts and corrections of executions, by a person's hand: venues do so hours after a trade, and it must be tried.

What an order has lost by it, it seeks again: an order that was executed works anew, behind all others at its price.
"""

from __future__ import annotations

from simulated_exchange.bounds import MAX_QUANTITY
from simulated_exchange.control_words import BustExecution, CorrectExecution
from simulated_exchange.draft import Draft, exec_id
from simulated_exchange.engine import Decision, Engine
from simulated_exchange.house import decimals_of
from simulated_exchange.prices import format_price, parse_price
from simulated_exchange.protocol import (
    DAY_ENDED,
    AnyAnswer,
    Bust,
    Busted,
    BustedReport,
    Correct,
    Corrected,
    CorrectedReport,
    Refused,
)
from simulated_exchange.venue_order import Fill, VenueOrder


def amended(engine: Engine, request: BustExecution | CorrectExecution, now: int) -> Decision:
    """Carries it out at a time to which the engine has advanced; the answer is Busted, Corrected or Refused.

    Without `exec_id` it is the order's newest execution. One that was corrected has the correction's id from then on.
    """
    order = engine.state.orders.get(request.order_id)
    if order is None:
        return Decision(Refused("unknown_order", f"there is no order {request.order_id}"))
    fill = _fill_of(engine, order, request.exec_id)
    if fill is None:
        which = "no execution" if request.exec_id is None else f"no execution {request.exec_id}"
        return Decision(Refused("unknown_execution", f"order {request.order_id} has {which}"))
    ref = exec_id(engine.state.tag, fill.seq)
    if isinstance(request, BustExecution):
        draft = Draft(engine.state, Bust(order.order_id, ref), now)
        after = draft.bust(order, fill)
    else:
        quantity = fill.quantity if request.quantity is None else request.quantity
        price = fill.price if request.price is None else parse_price(request.price)
        reason = _reason_against(quantity, price, order, fill)
        if reason is not None:
            return Decision(Refused("bad_request", reason))
        price_text = format_price(price, decimals_of(order.symbol))
        draft = Draft(engine.state, Correct(order.order_id, ref, quantity, price_text), now)
        after = draft.correct(order, fill, quantity, price)
    if order.state == "executed" and after.leaves > 0:
        _seek_again(engine, draft, after)
    entry = engine.commit(draft)
    return Decision(_answer(entry.reports[0]), entry)


def _fill_of(engine: Engine, order: VenueOrder, wanted: str | None) -> Fill | None:
    fills = order.fills or []
    if wanted is None:
        return fills[-1] if fills else None
    return next((fill for fill in fills if exec_id(engine.state.tag, fill.seq) == wanted), None)


def _reason_against(quantity: int, price: int, order: VenueOrder, fill: Fill) -> str | None:
    if not 1 <= quantity <= MAX_QUANTITY:
        return "quantity is out of range"
    if order.filled - fill.quantity + quantity > order.quantity:
        return f"more than the order's quantity of {order.quantity} would be filled"
    return None if price > 0 else "price is out of range"


def _seek_again(engine: Engine, draft: Draft, order: VenueOrder) -> None:
    if order.expires_at is not None and order.expires_at <= draft.at:
        draft.expire(order, DAY_ENDED)
    else:
        engine.match(draft, order, order.leaves)


def _answer(report: object) -> AnyAnswer:
    match report:
        case BustedReport(seq=seq, exec_id=new, ref_exec_id=ref, filled=filled, leaves=leaves):
            return Busted(new, ref, filled, leaves, seq)
        case CorrectedReport(seq=seq, exec_id=new, ref_exec_id=ref, filled=filled, leaves=leaves):
            return Corrected(new, ref, report.quantity, report.price, filled, leaves, seq)
    raise TypeError(f"no amendment: {report!r}")
