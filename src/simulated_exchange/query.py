"""The answer to `query`: an order as the venue has it."""

from __future__ import annotations

from simulated_exchange.bounds import MAX_EXECUTIONS_AN_ANSWER
from simulated_exchange.draft import exec_id
from simulated_exchange.house import decimals_of
from simulated_exchange.prices import format_price
from simulated_exchange.protocol import Execution, Found, NotFound, Query
from simulated_exchange.state import ExchangeState


def found(state: ExchangeState, request: Query) -> Found | NotFound:
    order = state.orders.get(request.order_id)
    if order is None:
        return NotFound()
    fills = order.fills or []
    decimals = decimals_of(order.symbol)
    shown = fills[request.executions_from : request.executions_from + MAX_EXECUTIONS_AN_ANSWER]
    return Found(
        order_id=order.order_id,
        state=order.state,
        venue_order_id=order.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        limit_price=order.limit_text,
        time_in_force=order.time_in_force,
        filled=order.filled,
        leaves=order.leaves,
        terms_id=order.terms_id,
        reason=order.reason,
        last_seq=order.last_seq,
        executions_total=len(fills),
        executions=[
            Execution(
                exec_id(state.tag, fill.seq),
                fill.seq,
                fill.at,
                fill.quantity,
                format_price(fill.price, decimals),
                fill.liquidity,
            )
            for fill in shown
        ],
    )
