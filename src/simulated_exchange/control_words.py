"""What a person can ask of a running exchange, on the control socket. The words are those of
docs/reference/simulated-exchange.md.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from simulated_exchange.bounds import MAX_CAPACITY, MAX_OUTAGE_S
from simulated_exchange.protocol import Answer, Identifier, PriceText, Request

Rate = Annotated[float, Meta(ge=0, le=1)]


class SetFaults(Request, frozen=True, tag="faults"):
    """What is given is changed, the rest stays; `reset` first ends all that was set. Nothing given: only shown."""

    reset: bool = False
    error_rate: Rate | None = None
    hang_rate: Rate | None = None
    drop_rate: Rate | None = None
    disconnect_rate: Rate | None = None
    duplicate_rate: Rate | None = None
    reorder_rate: Rate | None = None
    latency_s: tuple[float, float] | None = None
    crash_every_s: tuple[float, float] | None = None
    capacity: Annotated[int, Meta(ge=0, le=MAX_CAPACITY)] | None = None
    house: bool | None = None
    outage_s: Annotated[float, Meta(ge=0, le=MAX_OUTAGE_S)] | None = None
    disconnect: bool = False
    restart: bool = False


class BustExecution(Request, frozen=True, tag="bust"):
    order_id: Identifier
    exec_id: Identifier | None = None


class CorrectExecution(Request, frozen=True, tag="correct"):
    """A quantity or price that is not given stays."""

    order_id: Identifier
    exec_id: Identifier | None = None
    quantity: int | None = None
    price: PriceText | None = None


ControlRequest = SetFaults | BustExecution | CorrectExecution
CONTROL_OPERATIONS = frozenset({"faults", "bust", "correct"})


class FaultsSet(Answer, frozen=True, tag="faults"):
    """`up` is false during an outage and until the exchange has read its journal after it."""

    faults: dict[str, float | list[float]]
    house: bool
    up: bool
    outage_left_s: float
    starts: int
