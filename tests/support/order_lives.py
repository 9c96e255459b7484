"""Lives of an order, command by command, each so many seconds after the one before."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.instruments import BUILT_IN
from orders.domain.order import Order, fold
from orders.domain.terms import Rules
from orders.eventstore.port import Recorded
from tests.support.given import CAPABLE
from tests.support.order_events import OPENING

ADAPTER, CLIENT, OPERATOR = "exchange adapter", "client:local", "operator local"
FIRST_POSITION = 41


class Life:
    """`recorded` are its events as the log would have them, alone in it from FIRST_POSITION on."""

    def __init__(self, order_id: UUID) -> None:
        self.order_id = order_id
        self.events: list[e.OrderEvent] = []
        self._at = OPENING
        self._commands = 0

    def then(self, after_s: float, kind: type[c.Command], by: str = ADAPTER, **fields: Any) -> Life:
        self._at += timedelta(seconds=after_s)
        self._commands += 1
        command_id = uuid5(self.order_id, str(self._commands))
        command = kind(order_id=self.order_id, command_id=command_id, at=self._at, by=by, **fields)
        self.events += decide(self.order, command, Rules(catalogue=BUILT_IN, venue=CAPABLE))
        return self

    @property
    def order(self) -> Order | None:
        return fold(self.order_id, self.events)

    @property
    def recorded(self) -> list[Recorded]:
        return [
            Recorded(FIRST_POSITION + index, self.order_id, index + 1, event)  # type: ignore[arg-type]
            for index, event in enumerate(self.events)
        ]


ID = UUID("01a1fbfe-4cc7-7491-91f9-8c9b96e69439")


def accepted(order_id: UUID = ID, **terms: Any) -> Life:
    asked = c.Terms(**{"symbol": "EURUSD", "quantity": 10, **terms})
    return Life(order_id).then(0, c.PlaceOrder, CLIENT, account="local", terms=asked, client_order_id="k-1")


def sent(**terms: Any) -> Life:
    return accepted(**terms).then(0.004, c.StartSubmit, worker="host/12/ab12cd")


def at_exchange(**terms: Any) -> Life:
    return sent(**terms).then(0.506, c.RecordAccepted, venue_order_id="V-7")


def in_doubt() -> Life:
    return sent().then(10, c.RecordSubmitInDoubt, attempt=1, reason="no answer within 10 s")


def filled() -> Life:
    return at_exchange().then(5, c.RecordExecution, exec_id="e1", quantity=10, price=Decimal("1.0804"), leaves=0)


def parked() -> Life:
    failed = sent().then(0.5, c.RecordSubmitFailed, attempts=(1,), reason="connection not available")
    again = failed.then(1, c.StartSubmit, worker="host/12/ab12cd")
    last = again.then(0.5, c.RecordSubmitFailed, attempts=(2,), reason="connection not available")
    return last.then(0, c.ParkPlacement, reason="2 failed attempts: connection not available")
