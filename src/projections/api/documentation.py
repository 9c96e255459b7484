"""The query parameters as the OpenAPI document shows them. They are read by `parameters.py`, not by Litestar, whose
conversions are lenient and whose answers to wrong values are others."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Operation, Parameter, Schema

from orders.bounds import MAX_WAIT_MS
from orders.domain.values import Side, Status
from orders.http import IF_NONE_MATCH_HEADER
from projections.bounds import DEFAULT_BOOK_LEVELS, MAX_BOOK_LEVELS, MAX_PAGE, MAX_PAST_CANDIDATES

_POSITION = Schema(type=OpenAPIType.INTEGER, minimum=0)
_TEXT = Schema(type=OpenAPIType.STRING)
_TIME = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)
_MILLISECONDS = Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=MAX_WAIT_MS, default=MAX_WAIT_MS)
_PAGE = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_PAGE, default=MAX_PAGE)
_LEVELS = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_BOOK_LEVELS, default=DEFAULT_BOOK_LEVELS)
_STATUS = Schema(type=OpenAPIType.STRING, enum=[status.value for status in Status])
_SIDE = Schema(type=OpenAPIType.STRING, enum=[side.value for side in Side])


def _query(name: str, schema: Schema, description: str) -> Parameter:
    return Parameter(name=name, param_in="query", schema=schema, description=description, required=False)


FRESHNESS = [
    _query("min_position", _POSITION, "The answer holds the log up to this position; beyond its end: 422."),
    _query("wait_ms", _MILLISECONDS, "How long to wait for that; 0 takes what is there."),
]
IF_NONE_MATCH = Parameter(
    name=IF_NONE_MATCH_HEADER,
    param_in="header",
    schema=_TEXT,
    description="The ETag of an answer before, several of them, or *.",
    required=False,
)
PAGING = [
    _query("limit", _PAGE, "How many at most."),
    _query("cursor", _TEXT, "From the Link header (rel=next) of the page before."),
]
AS_OF = [
    _query("as_of", _TEXT, "As it was after this position of the log, or at this time (RFC 3339), not in the future.")
]
AS_OF_POSITION = [
    _query(
        "as_of",
        _POSITION,
        "The orders as they were after this position of the log. Slower: each order is looked up in the log. With"
        f" `status` a page looks at {MAX_PAST_CANDIDATES} orders, and may be short or empty: follow the Link header.",
    )
]
ORDERS = [
    _query("status", _STATUS, "Only orders of this status."),
    _query("symbol", _TEXT, "Only orders of this symbol or instrument."),
    _query("side", _SIDE, "Only orders of this side."),
    _query("client_order_id", _TEXT, "Only the order with this key."),
    _query("placed_after", _TIME, "Only orders placed later than this."),
    _query("placed_before", _TIME, "Only orders placed earlier than this."),
]
TRADES = [
    _query("order_id", _ID, "Only fills of this order."),
    _query("symbol", _TEXT, "Only fills of this symbol or instrument."),
]
LISTING = [_query("symbol", _TEXT, "Only this symbol or instrument.")]
BOOK = [_query("levels", _LEVELS, "How many price levels a side, the best ones.")]

POSITION_ONLY = (
    "a position of the log, since times do not order events; `Orders-Position` of every answer is one, and so is the"
    " `position` of each event of an order's history"
)
NO_PAST_TRADES = (
    "Trades have no `as_of`: later busts and corrections would show in it; the events of an order with `as_of` tell its"
    " fills as they were"
)
NO_PAST_BOOK = "Books have no `as_of`; the list of orders with `as_of` and `status=Placed` tells what was open"


def operation(*parameters: Parameter) -> type[Operation]:
    """An operation whose query parameters are these, beside those of its path."""

    @dataclass
    class WithParameters(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *parameters]

    return WithParameters
