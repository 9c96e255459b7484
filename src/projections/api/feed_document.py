"""The AsyncAPI 3.0 document of the feed, made from the structs of its messages.

`python -m projections.api.feed_document > docs/reference/asyncapi.json` writes the one that is committed.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from typing import Any

import msgspec
from msgspec import Struct

from projections.bounds import MAX_FRAME_MESSAGES
from projections.feed import CHANNELS
from projections.feed_client import (
    BROKEN,
    FULL,
    GOING_DOWN,
    MISBEHAVED,
    NOT_AUTHENTICATED,
    NOT_PERMITTED,
    TOO_SLOW,
    WRONG_PARAMETER,
)
from projections.feed_messages import MESSAGES, Closed

_Schema = dict[str, Any]

OVER_SOCKETS = tuple(kind for kind in MESSAGES if kind is not Closed)

PARAMETERS: dict[str, _Schema] = {
    "after": {
        "type": "integer",
        "minimum": 0,
        "description": "First everything after this position of the log, then caught_up, then live, without gap or "
        "repeat; heartbeats when idle. Without it: live messages only. Beyond the end of the log it is refused.",
    },
    "channels": {
        "type": "string",
        "default": "orders",
        "description": f"A list with commas of {', '.join(CHANNELS)}; each at most once.",
        "examples": [",".join(CHANNELS)],
    },
    "symbol": {"type": "string", "description": "Only this symbol or instrument.", "examples": ["EURUSD"]},
    "order_id": {"type": "string", "format": "uuid", "description": "Only this order."},
    "detail": {
        "type": "boolean",
        "default": False,
        "description": "Also what happens to orders in between, such as accepted, pending, in doubt, parked.",
    },
}
NO_BATCH: _Schema = {
    "type": "boolean",
    "default": False,
    "description": "Means nothing here: each message is an event of its own.",
}
BATCH: _Schema = {
    "type": "boolean",
    "default": False,
    "description": "A frame may be a JSON array of messages where several are ready: several times the throughput.",
}

_CLOSE_CODES = {
    MISBEHAVED: "The client sent more than this feed listens to.",
    BROKEN: "An error of the service; the reason has the position to resume from.",
    GOING_DOWN: "The service restarts; the reason has the position to resume from.",
    FULL: "Too many clients, or the service cannot tell now who asks; try again later.",
    NOT_AUTHENTICATED: "The key or token is missing or wrong, or has ended since: take another one.",
    NOT_PERMITTED: "The key or token lacks the scope `read`.",
    TOO_SLOW: "The client read too slowly; the reason has the position to resume from.",
    WRONG_PARAMETER: "A parameter is wrong; the reason says which.",
}

_FEED = """The feed over a WebSocket; what clients send is not read. Positions on a socket never go back. Resume with
`after` set to the position of the last message without `more`, at any API process. Close codes: see `x-close-codes`."""
_EVENTS = """The same messages as server-sent events (WHATWG HTML 9.2), each the data of one event. `id` is the position
to resume from; it stands only on a message without `more`. The header Last-Event-ID wins over `after`."""


def feed_document(version: str) -> dict[str, Any]:
    """The document as an object for JSON; `version` is that of the service."""
    names = {_name(kind): kind for kind in MESSAGES}
    _, schemas = msgspec.json.schema_components(MESSAGES, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = _on_one_line(schema["description"])
    sockets = [_name(kind) for kind in OVER_SOCKETS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order service: the feed",
            "version": version,
            "description": "What happens to orders, from any position of the log on. For REST see /openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "sockets": _server("ws", "The default address; BASE_URL sets another."),
            "http": _server("http", "The same address."),
        },
        "channels": {
            "feed": {
                "address": "/ws",
                "description": _on_one_line(_FEED),
                "servers": [_ref("servers/sockets")],
                "messages": {name: _ref(f"components/messages/{name}") for name in (*sockets, "batch")},
                "bindings": {"ws": _get(PARAMETERS | {"batch": BATCH})},
                "x-close-codes": {str(code): text for code, text in _CLOSE_CODES.items()},
            },
            "events": {
                "address": "/events",
                "description": _on_one_line(_EVENTS),
                "servers": [_ref("servers/http")],
                "messages": {name: _ref(f"components/messages/{name}") for name in names},
            },
        },
        "operations": {
            "sendFeed": {
                "action": "send",
                "summary": "What a client of /ws receives.",
                "channel": _ref("channels/feed"),
                "messages": [_ref(f"channels/feed/messages/{name}") for name in (*sockets, "batch")],
            },
            "sendEvents": {
                "action": "send",
                "summary": "What a client of /events receives.",
                "channel": _ref("channels/events"),
                "messages": [_ref(f"channels/events/messages/{name}") for name in names],
                "bindings": {"http": _get(PARAMETERS | {"batch": NO_BATCH}) | {"bindingVersion": "0.3.0"}},
            },
        },
        "components": {
            "messages": {name: _message(name, kind) for name, kind in names.items()} | {"batch": _batch()},
            "schemas": schemas,
        },
    }


def as_text(document: dict[str, Any]) -> str:
    """As it is committed and served: indented, with a line break at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _name(kind: type[Struct]) -> str:
    """OrderMessage: order, CaughtUp: caughtUp."""
    name = kind.__name__.removesuffix("Message")
    return name[0].lower() + name[1:]


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _ref(path: str) -> _Schema:
    return {"$ref": f"#/{path}"}


def _server(protocol: str, description: str) -> _Schema:
    return {"host": "127.0.0.1:8000", "protocol": protocol, "description": description}


def _get(parameters: dict[str, _Schema]) -> _Schema:
    return {
        "method": "GET",
        "query": {"type": "object", "properties": parameters, "additionalProperties": False},
    }


def _message(name: str, kind: type[Struct]) -> _Schema:
    return {"name": name, "payload": _ref(f"components/schemas/{kind.__name__}")}


def _batch() -> _Schema:
    items = {"anyOf": [_ref(f"components/schemas/{kind.__name__}") for kind in OVER_SOCKETS]}
    return {
        "name": "batch",
        "summary": "Several messages in their order, where the client asked for batch=true.",
        "payload": {"type": "array", "items": items, "minItems": 2, "maxItems": MAX_FRAME_MESSAGES},
    }


if __name__ == "__main__":
    sys.stdout.write(as_text(feed_document(version_of("order-service"))))
