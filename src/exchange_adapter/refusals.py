"""What operators are refused, beside what the domain refuses.

OperatorRefusal
├── InDoubt        it is to be sent again, but may be at the exchange: it must be settled first
├── TooEarly       "not placed" does not count yet: the order may still be on its way
└── WorkerLives    the worker whose orders are meant still works on them
"""

from __future__ import annotations

from uuid import UUID

from orders.domain.errors import Refusal


class OperatorRefusal(Refusal):
    pass


class InDoubt(OperatorRefusal):
    def __init__(self, order_id: UUID) -> None:
        super().__init__(f"Order with ID: {order_id} is in doubt: resolve it first")


class TooEarly(OperatorRefusal):
    def __init__(self, order_id: UUID, left_s: int) -> None:
        super().__init__(f"Order with ID: {order_id} may still reach the exchange: not placed counts in {left_s} s")


class WorkerLives(OperatorRefusal):
    def __init__(self, worker: str) -> None:
        super().__init__(f"Worker {worker} lives: stop it first, or name the orders")
