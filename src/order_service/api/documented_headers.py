"""The headers of our answers in the OpenAPI document, by what each answer is: Litestar declares those of one answer of
a route only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI

from order_service.api.documented_access import DocumentedAccess
from order_service.api.documented_paths import with_paths
from order_service.api.problem_details import MEDIA_TYPE
from orders.api.tracing import TRACE_HEADER
from orders.http import ETAG_HEADER, POSITION_HEADER

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_HEADERS: dict[str, dict[str, Any]] = {
    POSITION_HEADER: {
        "description": "The position of the log that the answer holds: as `min_position` no later read is older.",
        "schema": _WHOLE,
    },
    ETAG_HEADER: {"description": "The order's version, strong, for `If-None-Match`.", "schema": _TEXT},
    "Link": {"description": "Where there are more: the next page (rel=next).", "schema": _TEXT},
    "Location": {"description": "Where the order is.", "schema": _TEXT},
    "Idempotent-Replayed": {"description": "true: the key named this order before.", "schema": _TEXT},
    "Retry-After": {"description": "In so many seconds.", "schema": _WHOLE},
    "RateLimit-Policy": {"description": "Where a limit is set: how many (q) in how many seconds (w).", "schema": _TEXT},
    "RateLimit": {
        "description": "What is left of that (r), and in how many seconds it is whole (t).",
        "schema": _TEXT,
    },
    TRACE_HEADER: {"description": "The caller's own trace id, or one that finds the log lines.", "schema": _TEXT},
}
_ALWAYS = {POSITION_HEADER, ETAG_HEADER, "Retry-After", TRACE_HEADER, "Idempotent-Replayed"}
"""Present wherever they are declared; `Link` where there is more, `Location` of a 500 where the order may exist."""

_BEFORE_THE_LIMIT = (401, 403, 421)

_TO_STRANGERS = (401, 403, 421, 429, 500, 503)
"""May be answered before it is known who asks: then without the position."""

_ORDER = {"$ref": "#/components/schemas/OrderResource"}
_NOT_PLACED = {"$ref": "#/components/schemas/NotPlaced"}
_OF_THE_PROCESS = "/health/"


@dataclass
class DocumentedConfig(OpenAPIConfig):
    access: DocumentedAccess = field(default_factory=DocumentedAccess)

    def to_openapi_schema(self) -> OpenAPI:
        plain = super().to_openapi_schema()
        documented = _Documented(**{field.name: getattr(plain, field.name) for field in fields(plain)})
        documented.access = self.access
        return documented


@dataclass
class _Documented(OpenAPI):
    def __post_init__(self) -> None:
        self.access = DocumentedAccess()  # no field: it is no part of the document

    def to_schema(self) -> dict[str, Any]:
        return with_headers(self.access.told_in(with_paths(super().to_schema())))


def with_headers(document: dict[str, Any]) -> dict[str, Any]:
    """The document, in which every answer of the API names its headers."""
    for path, operations in document["paths"].items():
        if path.startswith(_OF_THE_PROCESS):
            continue
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                named = {name: _header(name, int(status)) for name in _names(method, operation, int(status), response)}
                response["headers"] = response.get("headers", {}) | named
    return document


def _names(method: str, operation: dict[str, Any], status: int, response: dict[str, Any]) -> Iterator[str]:
    yield POSITION_HEADER
    content: dict[str, Any] = response.get("content", {})
    shown = content.get("application/json", {}).get("schema")
    places = method == "post" and 201 in map(int, operation["responses"])
    not_placed = shown == _NOT_PLACED
    # Not of a PUT: see orders/api/routes.py.
    if status == 304 or (shown == _ORDER and method != "put"):
        yield ETAG_HEADER
    if status == 200 and any(one.get("name") == "cursor" for one in operation.get("parameters", ())):
        yield "Link"
    if places and status in (200, 201, 500):
        yield "Location"
    if places and status == 200:
        yield "Idempotent-Replayed"
    if status not in _BEFORE_THE_LIMIT:
        yield from ("RateLimit-Policy", "RateLimit")
    if status in (429, 503) or not_placed:
        yield "Retry-After"
    if MEDIA_TYPE in content or not_placed:
        yield TRACE_HEADER


def _header(name: str, status: int) -> dict[str, Any]:
    to_anybody = name == POSITION_HEADER and status in _TO_STRANGERS
    required = (name in _ALWAYS and not to_anybody) or (name == "Location" and status < 300)
    return {**_HEADERS[name], "required": True} if required else _HEADERS[name]
