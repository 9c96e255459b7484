"""What is told of each order of a batch."""

from __future__ import annotations

from msgspec import Struct

from orders.api.commands import Accepted
from orders.api.problems import PROBLEMS
from orders.domain.errors import FieldError
from orders.domain.resource import OrderResource
from orders.eventstore.port import EventStoreError
from orders.handlers import NotPlaced
from orders.http import BLANK, problem_type
from orders.strict_json import encodable

NOT_PLACED = "Internal server error while placing the order"
"""What is said wherever a fault of ours kept an order from being durable."""


class OrderProblem(Struct, frozen=True, kw_only=True):
    """Why this order was not placed: the problem (RFC 9457) that POST /orders would have answered with."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class BatchResult(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of one order of the batch: the status that POST /orders would have answered with, and the order or a
    problem. 201: it is durable and will be placed. 200: its key named it before."""

    status: int
    order: OrderResource | None = None
    problem: OrderProblem | None = None


def result(outcome: Accepted | NotPlaced) -> BatchResult:
    if isinstance(outcome, Accepted):
        return BatchResult(status=200 if outcome.repeated else 201, order=outcome.order)
    problem = _problem(outcome)
    return BatchResult(status=problem.status, problem=problem)


def _problem(error: NotPlaced) -> OrderProblem:
    if isinstance(error, EventStoreError):
        return OrderProblem(type=BLANK, title="Internal Server Error", status=500, detail=NOT_PLACED)
    status, title = PROBLEMS[type(error)]
    errors = [FieldError(encodable(one.field), encodable(one.message)) for one in getattr(error, "errors", ())]
    return OrderProblem(
        type=problem_type(type(error)), title=title, status=status, detail=encodable(str(error)), errors=errors
    )
