"""What the OpenAPI document says of whole paths: their tags, their parameters, and which request leads to which."""

from __future__ import annotations

from typing import Any

_TAGS = {
    "Orders": "Place, change, cancel, and look at orders. /order is the same, for clients that use the singular.",
    "Market": "What trades here, and at which prices open orders rest.",
    "Trades": "Fills, and what they come to.",
    "Feed": "What happens to orders, as it happens; the WebSocket /ws is described by /asyncapi.json.",
    "operations": "For operators: orders that are held, adapter processes, alerts, query tables.",
    "Health": "Whether this process runs, and whether it can serve.",
}
_TAG_OF = {
    "order": "Orders",
    "orders": "Orders",
    "instruments": "Market",
    "books": "Market",
    "trades": "Trades",
    "daily-summaries": "Trades",
    "positions": "Trades",
    "events": "Feed",
    "ops": "operations",
    "health": "Health",
}
"""By the first part of a path. A path without one fails: somebody has to say where it belongs."""

_NEVER_TOO_OFTEN = "Health"

_PARAMETERS = {
    "order_id": "The order's id, as its placing answered it.",
    "symbol": "A symbol or an instrument's code, as GET /instruments tells them.",
    "name": "The projection's name, as GET /ops/projections tells it.",
}
_FOLLOWED_BY = {
    "show": ("get", "/orders/{order_id}", "The order as it is now."),
    "replace": ("put", "/orders/{order_id}", "Another quantity or price."),
    "cancel": ("delete", "/orders/{order_id}", "No longer wanted."),
    "history": ("get", "/orders/{order_id}/events", "What happened to it."),
}
_PLACED = ("200", "201")


def with_paths(document: dict[str, Any]) -> dict[str, Any]:
    """The document with tags, the meaning of each part of a path, and links from a placed order to what may follow.
    Raises KeyError for a path whose first part is not known."""
    document["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    # Litestar keeps the paths of one handler in a set.
    document["paths"] = dict(sorted(document["paths"].items()))
    for path, operations in document["paths"].items():
        tag = _TAG_OF[path.split("/")[1]]
        for operation in operations.values():
            operation["tags"] = [tag]
            _describe_parameters(operation)
            _drop_what_is_never_sent(operation["responses"])
        for operation in operations.values():
            operation["responses"] |= _refusals(tag, takes_body="requestBody" in operation)
            operation["responses"].setdefault("500", problem_response("A fault of the service: its log tells more"))
    links = {name: _link(document, *where) for name, where in _FOLLOWED_BY.items()}
    for path in ("/orders", "/order"):
        responses = document["paths"].get(path, {}).get("post", {}).get("responses", {})
        for status in _PLACED:
            if status in responses:
                responses[status]["links"] = links
    return document


def _describe_parameters(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter.setdefault("description", _PARAMETERS[parameter["name"]])


def _drop_what_is_never_sent(responses: dict[str, Any]) -> None:
    """Litestar declares its own answer to wrong parameters; ours is the 422."""
    shown = responses.get("400", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "extra" in shown.get("properties", {}):
        del responses["400"]


def _refusals(tag: str, *, takes_body: bool) -> dict[str, Any]:
    """Of what may come before any handler is reached: docs/reference/limits.md."""
    texts = {"413": "The body is too large", "414": "The path or query is too long"}
    if takes_body:
        texts["408"] = "The body took too long"
    if tag != _NEVER_TOO_OFTEN:
        texts["429"] = "Too often: see Retry-After and RateLimit"
    return {status: problem_response(text) for status, text in texts.items()}


def problem_response(text: str) -> dict[str, Any]:
    """An answer that is a problem (RFC 9457)."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": text, "content": content}


def _link(document: dict[str, Any], method: str, path: str, text: str) -> dict[str, Any]:
    operation = document["paths"].get(path, {}).get(method, {})
    return {
        "operationId": operation.get("operationId", ""),
        "description": text,
        "parameters": {"order_id": "$response.body#/order_id"},
    }
