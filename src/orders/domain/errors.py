"""What `decide` refuses.

Refusal
├── InvalidOrder      the terms are not acceptable; lists every wrong field
├── UnknownOrder      there is no such order
├── OrderEnded        executed, canceled, rejected or expired already
├── KeyReused         the client's key names an order with other content
├── RequestPending    a cancel or replace waits for the venue
├── VenueCannot       the venue has no such operation
└── NotApplicable     the order is not in the state that the command needs (adapter and operators)
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from orders.domain.values import Phase

_ENDED_AS = {
    Phase.FILLED: "executed",
    Phase.CANCELED: "canceled",
    Phase.REJECTED: "rejected",
    Phase.EXPIRED: "expired",
}


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field of a request: its name in the API, and what is wrong in a person's words."""

    field: str
    message: str


class Refusal(Exception):
    """A command that may not happen. `str()` is fit for the client."""


class InvalidOrder(Refusal):
    def __init__(self, errors: tuple[FieldError, ...]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class UnknownOrder(Refusal):
    def __init__(self, order_id: UUID | str) -> None:
        super().__init__(f"Order with ID: {order_id} does not exist")


class OrderEnded(Refusal):
    def __init__(self, order_id: UUID, phase: Phase) -> None:
        super().__init__(f"Order with ID: {order_id} has already been {_ENDED_AS[phase]}")
        self.phase = phase


class KeyReused(Refusal):
    def __init__(self, key: str, order_id: UUID) -> None:
        super().__init__(f"client_order_id {key!r} already names an order with other content")
        self.order_id = order_id


class RequestPending(Refusal):
    def __init__(self, order_id: UUID, pending: str) -> None:
        super().__init__(f"A {pending} of order {order_id} is pending at the exchange")


class VenueCannot(Refusal):
    def __init__(self, operation: str) -> None:
        super().__init__(f"The exchange cannot {operation} orders")


class NotApplicable(Refusal):
    pass
