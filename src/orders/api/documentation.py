"""The request bodies as the OpenAPI document shows them; `order_fields.py` has the structs, and reads the bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)

from orders.api.batch_reading import BatchBody
from orders.api.batch_results import NOT_PLACED
from orders.api.order_fields import KEY_HEADER, PlaceBody, ReplaceBody
from orders.bounds import MAX_CLIENT_ORDER_ID

REFUSED = {
    400: "Malformed, or the order has ended",
    404: "There is no such order",
    409: "In conflict with what is there, or pending",
    413: "The body is too large",
    415: "The body is no JSON",
    422: "Wrong fields; `errors` lists each",
    500: "The order could not be made durable",
    503: "Not now: see Retry-After",
}
_PLACE_EXAMPLES = {
    "market": {"symbol": "EURUSD", "quantity": 10},
    "limit": {
        "symbol": "EURUSD",
        "side": "sell",
        "quantity": 10,
        "limit_price": "1.10000",
        "client_order_id": "mine-1",
    },
    "instrument": {"instrument": "US0378331005", "quantity": 5, "limit_price": 200.5, "time_in_force": "day"},
}


_BATCH_EXAMPLES: dict[str, Any] = {
    "two orders": {
        "orders": [
            {"symbol": "EURUSD", "quantity": 10, "client_order_id": "mine-2"},
            {"symbol": "CADUSD", "side": "sell", "quantity": 5, "limit_price": "0.75000", "client_order_id": "mine-3"},
        ]
    },
    "the array alone": [{"symbol": "EURUSD", "quantity": 10}],
}
PLACE_MANY = """Up to 1,000 orders, durable together in one commit. 200: the batch was carried out; the answer has one
result an order, in order, each with the status that POST /orders would have given (201 or 200 with the order; 409, 422
or 500 with a problem). A wrong order keeps no other from being placed. A key that stands twice: the second is a repeat.
After an answer of 500 or none the same body is safe to repeat where every order has a `client_order_id`."""


class NotPlaced(msgspec.Struct, frozen=True):
    """The exact body of a 500."""

    message: str = NOT_PLACED


class StructSchema(Schema):
    """A struct's schema as msgspec writes it, whole in its place: Litestar lists as components only what a handler's
    signature shows, and ours reads its body itself."""

    def __init__(self, struct: type[msgspec.Struct], *, is_array_too: str | None = None) -> None:
        """`is_array_too`: the field whose array may stand alone in place of the object."""
        super().__init__()
        self._array_too = is_array_too
        (self._root,), self._components = msgspec.json.schema_components([struct], ref_template="{name}")

    def to_schema(self) -> dict[str, Any]:
        found: dict[str, Any] = self._whole(self._root)
        return found if self._array_too is None else {"anyOf": [found, found["properties"][self._array_too]]}

    def _whole(self, node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return self._whole(self._components[node["$ref"]])
            whole = {name: self._whole(inner) for name, inner in node.items()}
            return {**whole, "type": ["number", "string"]} if node.get("format") == "decimal" else whole
        return [self._whole(inner) for inner in node] if isinstance(node, list) else node


def _body(struct: type[msgspec.Struct], examples: dict[str, Any], *, is_array_too: str | None = None) -> RequestBody:
    shown: dict[str, Example | Reference] = {title: Example(value=value) for title, value in examples.items()}
    media_type = OpenAPIMediaType(schema=StructSchema(struct, is_array_too=is_array_too), examples=shown)
    return RequestBody(content={"application/json": media_type}, required=True)


@dataclass
class PlaceOperation(Operation):
    def __post_init__(self) -> None:
        key = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_CLIENT_ORDER_ID)
        text = "The same thing as `client_order_id`: a repeat with it finds the same order."
        header = Parameter(name=KEY_HEADER, param_in="header", schema=key, description=text, required=False)
        self.parameters = [*(self.parameters or []), header]
        self.request_body = _body(PlaceBody, _PLACE_EXAMPLES)


@dataclass
class PlaceManyOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _body(BatchBody, _BATCH_EXAMPLES, is_array_too="orders")


@dataclass
class ReplaceOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _body(ReplaceBody, {"both": {"quantity": 20, "limit_price": "1.10010"}})
