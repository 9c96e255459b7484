"""Parameters and bodies of the operators' routes as the OpenAPI document shows them; `routes.py` and `bodies.py` read
them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

from exchange_adapter.bounds import DEFAULT_HELD_PAGE, MAX_HELD_PAGE
from exchange_adapter.held_orders import HELD
from orders.bounds import MAX_WAIT_MS

TAG = "operations"

_TEXTS = {
    400: "Malformed body",
    404: "There is no such order",
    409: "Not in this state, or too early",
    413: "The body is too large",
    415: "The body is no JSON",
    422: "Wrong parameters or fields",
    503: "Not now: see Retry-After",
}
_TEXT = Schema(type=OpenAPIType.STRING)
_ID = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)
_POSITION = Schema(type=OpenAPIType.INTEGER, minimum=0)
_MILLISECONDS = Schema(type=OpenAPIType.INTEGER, minimum=0, maximum=MAX_WAIT_MS, default=MAX_WAIT_MS)
_DELIVERY = Schema(type=OpenAPIType.STRING, enum=[delivery.value for delivery in HELD])
_PAGE = Schema(type=OpenAPIType.INTEGER, minimum=1, maximum=MAX_HELD_PAGE, default=DEFAULT_HELD_PAGE)

Responses = dict[int, ResponseSpec]


def _query(name: str, schema: Schema, description: str) -> Parameter:
    return Parameter(name=name, param_in="query", schema=schema, description=description, required=False)


FRESHNESS = (
    _query(
        "min_position",
        _POSITION,
        "The answer holds the log up to this position; beyond its end: 422. Without it nothing waits.",
    ),
    _query("wait_ms", _MILLISECONDS, "How long to wait for that; 0 takes what is there."),
)
HELD_FILTERS = (
    _query("delivery", _DELIVERY, "Only orders in doubt, or only parked ones."),
    _query("worker", _TEXT, "Only orders whose last attempt was this worker's."),
    _query("symbol", _TEXT, "Only orders of this symbol or instrument."),
    _query("order_id", _ID, "Only this order."),
    _query("limit", _PAGE, "How many at most."),
    _query("cursor", _TEXT, "From the Link header (rel=next) of the page before."),
)


class _BodySchema(Schema):
    """A struct's schema as msgspec writes it: Litestar shows only what a handler's signature has, and ours reads its
    body itself."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        super().__init__()
        self._struct = struct

    def to_schema(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.schema(self._struct)["$defs"][self._struct.__name__]
        return found


def asking(*parameters: Parameter, body: type[msgspec.Struct] | None = None) -> type[Operation]:
    """An operation with these query parameters, and this body."""

    @dataclass
    class Asking(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *parameters]
            if body is not None:
                content = {"application/json": OpenAPIMediaType(schema=_BodySchema(body))}
                self.request_body = RequestBody(content=content, required=True)

    return Asking


def problems(problem: type[msgspec.Struct] | None, statuses: Sequence[int]) -> Responses:
    """`problem` describes a problem's body."""
    if problem is None:
        return {}
    media_type = "application/problem+json"
    return {
        status: ResponseSpec(problem, description=_TEXTS[status], media_type=media_type, generate_examples=False)
        for status in statuses
    }
