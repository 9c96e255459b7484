"""The fills, each counted once, with busts and corrections: the rules of `orders.domain.executions`, as rows. And what
was traded of each order: the sums over its fills.

Whether a report counts does not depend on the order in which reports come, so a batch is applied in two steps: first
all reports, then all references of those that were new.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from orders.domain.events import ExecutionBusted, ExecutionCorrected, OrderExecuted
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.projection import Change, Projection, Row

NAME = "trades"
_SQL = load("projections", "trades.sql")
_REPORTS = (OrderExecuted, ExecutionBusted, ExecutionCorrected)
_NOTHING = Decimal(0)


def step(batch: Sequence[Recorded]) -> list[Change]:
    """Of each order and exec_id the first report in the batch, and what it refers to."""
    reports: dict[tuple[UUID, str], Row] = {}
    references: list[Row] = []
    for recorded in batch:
        event = recorded.event
        if not isinstance(event, _REPORTS):
            continue
        key = (recorded.stream_id, event.exec_id)
        if key in reports:
            continue
        reports[key] = _row(recorded, event)
        if not isinstance(event, OrderExecuted) and event.ref_exec_id != event.exec_id:
            references.append(_reference(reports[key], event.ref_exec_id))
    return [Change("report", list(reports.values())), Change("refer", references)]


def _row(recorded: Recorded, event: OrderExecuted | ExecutionBusted | ExecutionCorrected) -> Row:
    filled = None if isinstance(event, ExecutionBusted) else event
    return (
        recorded.stream_id,
        event.exec_id,
        recorded.position,
        event.after.account,
        event.after.client_order_id,
        event.after.symbol,
        event.after.side.value,
        filled.quantity if filled else 0,
        filled.price if filled else _NOTHING,
        event.at,
        event.ref_exec_id if isinstance(event, ExecutionCorrected) else None,
        filled is not None,
    )


def _reference(report: Row, ref_exec_id: str) -> Row:
    order_id, exec_id, position, account, client_order_id, symbol, side, _, _, at, *_ = report
    return (order_id, exec_id, position, ref_exec_id, account, client_order_id, symbol, side, at)


TRADES = Projection(name=NAME, sql=_SQL, step=step)
