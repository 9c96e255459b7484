"""The fills, each counted once, with busts and corrections: the rules of `orders.domain.executions`, as rows.

Whether a report counts does not depend on the order in which reports come, so a batch is applied in two steps: first
all reports, then all references of those that were new.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg import Cursor

from orders.domain.events import ExecutionBusted, ExecutionCorrected, OrderExecuted
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.order_status import chunks, columns
from projections.projection import Projection

NAME = "trades"
_SQL = load("projections", "trades.sql")
_REPORTS = (OrderExecuted, ExecutionBusted, ExecutionCorrected)
_Key = tuple[UUID, str]
_NOTHING = Decimal(0)


class Reports(Struct, frozen=True):
    """By order and exec_id, each id's first report in the batch: its row, and the exec_id that it refers to."""

    rows: dict[_Key, tuple[Any, ...]]
    referred: dict[_Key, str]


def reports(batch: Sequence[Recorded]) -> Reports:
    found = Reports({}, {})
    for recorded in batch:
        event = recorded.event
        if not isinstance(event, _REPORTS):
            continue
        key = (recorded.stream_id, event.exec_id)
        if key in found.rows:
            continue
        found.rows[key] = _row(recorded, event)
        if not isinstance(event, OrderExecuted) and event.ref_exec_id != event.exec_id:
            found.referred[key] = event.ref_exec_id
    return found


def apply(cursor: Cursor[Any], batch: Sequence[Recorded]) -> None:
    found = reports(batch)
    new: set[_Key] = set()
    for part in chunks(found.rows.values()):
        cursor.execute(_SQL["report"], columns(part), prepare=True)
        new.update(cursor.fetchall())
    references: dict[_Key, tuple[Any, ...]] = {}
    for (order_id, exec_id), ref_exec_id in found.referred.items():
        if (order_id, exec_id) in new:
            # The first one stays, as it does when they come in batches of their own.
            row = _reference(found.rows[order_id, exec_id], ref_exec_id)
            references.setdefault((order_id, ref_exec_id), row)
    for part in chunks(references.values()):
        cursor.execute(_SQL["refer"], columns(part), prepare=True)


def _row(recorded: Recorded, event: OrderExecuted | ExecutionBusted | ExecutionCorrected) -> tuple[Any, ...]:
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


def _reference(row: tuple[Any, ...], ref_exec_id: str) -> tuple[Any, ...]:
    order_id, _, position, account, client_order_id, symbol, side, _, _, at, *_ = row
    return (order_id, ref_exec_id, position, account, client_order_id, symbol, side, at)


TRADES = Projection(name=NAME, sql=_SQL, apply=apply)
