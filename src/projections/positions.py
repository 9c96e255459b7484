"""What an account has bought and sold of each symbol."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Struct

from orders.domain.events import ExecutionBusted, ExecutionCorrected, OrderExecuted
from orders.domain.instruments import Catalogue
from orders.domain.values import EXACT
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from projections.projection import Change, Listing, Projection, Row

_Report = OrderExecuted | ExecutionBusted | ExecutionCorrected


class Position(Struct, frozen=True, kw_only=True):
    """The fills of a symbol that count, added up. A notional is the exact sum of quantity times price."""

    symbol: str
    net_quantity: int
    bought_quantity: int
    bought_notional: str
    sold_quantity: int
    sold_notional: str
    position: int


def step(batch: Sequence[Recorded]) -> list[Change]:
    """Each fill that the batch reports or refers to, once, with all that the batch says of it."""
    told: dict[tuple[UUID, str], Row] = {}
    for recorded in batch:
        event = recorded.event
        if isinstance(event, OrderExecuted | ExecutionCorrected):
            notional = EXACT.multiply(event.price, Decimal(event.quantity))
            _tell(told, recorded, event, event.exec_id, event.quantity, notional, counts=True)
        if isinstance(event, ExecutionBusted | ExecutionCorrected):
            _tell(told, recorded, event, event.ref_exec_id, 0, Decimal(0), counts=False)
    return [Change("fill", list(told.values()))]


def _tell(
    told: dict[tuple[UUID, str], Row],
    recorded: Recorded,
    event: _Report,
    exec_id: str,
    quantity: int,
    notional: Decimal,
    *,
    counts: bool,
) -> None:
    """A fill is reported once in the log, and counts no more once another report has referred to it."""
    key, after = (recorded.stream_id, exec_id), event.after
    if key in told:
        *_, known_quantity, known_notional, counted = told[key]
        quantity, notional = quantity + known_quantity, EXACT.add(notional, known_notional)
        counts = counts and counted
    told[key] = (*key, recorded.position, after.account, after.symbol, after.side.value, quantity, notional, counts)


def _shown(row: tuple[Any, ...], catalogue: Catalogue) -> Position:
    symbol, bought, bought_notional, sold, sold_notional, position = row
    return Position(
        symbol=symbol,
        net_quantity=bought - sold,
        bought_quantity=bought,
        bought_notional=f"{bought_notional:f}",
        sold_quantity=sold,
        sold_notional=f"{sold_notional:f}",
        position=position,
    )


POSITIONS = Projection(
    name="positions",
    sql=load("projections", "positions.sql"),
    step=step,
    listing=Listing(path="/positions", summary="What was bought and sold of each symbol", row=Position, shown=_shown),
)
