"""The requests of the API, built: pure functions from what a caller wants to what goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
from msgspec import Struct

from order_client.options import OrderId


class Request(Struct, frozen=True, kw_only=True):
    """`target` is path and query. `repeatable`: made twice it does no more than once, so that one without an answer may
    be made again. `changes`: it is no read. `order_id`: the order that it is about."""

    method: str
    target: str
    body: bytes = b""
    repeatable: bool = True
    changes: bool = False
    order_id: str | None = None


def placing(client_order_id: str, terms: Mapping[str, Any]) -> Request:
    """The key makes it repeatable."""
    body = _body({**terms, "client_order_id": client_order_id})
    return Request(method="POST", target="/orders", body=body, changes=True)


def placing_many(orders: Sequence[Mapping[str, Any]]) -> Request:
    """Each with its key, which makes it repeatable."""
    body = msgspec.json.encode({"orders": [_given(terms) for terms in orders]})
    return Request(method="POST", target="/orders/batch", body=body, changes=True)


def canceling(order_id: OrderId) -> Request:
    """A second cancel finds the first one, or what came of it."""
    return Request(method="DELETE", target=order_path(order_id), changes=True, order_id=str(order_id))


def replacing(order_id: OrderId, terms: Mapping[str, Any]) -> Request:
    """Not repeatable: between two attempts another client's replace may have come, which the second would undo."""
    path, body = order_path(order_id), _body(terms)
    return Request(method="PUT", target=path, body=body, repeatable=False, changes=True, order_id=str(order_id))


def reading(path: str, params: Mapping[str, Any]) -> Request:
    return Request(method="GET", target=_target(path, params))


def following(target: str | None) -> Request | None:
    """The next page, where there is one."""
    return None if target is None else Request(method="GET", target=target)


def asking_position() -> Request:
    """Of the service's feed: an answer that needs no table has it."""
    return reading("/instruments", {})


def stream_target(after: int, params: Mapping[str, Any]) -> str:
    return _target("/ws", {**params, "after": after})


def order_path(order_id: OrderId) -> str:
    return f"/orders/{quote(str(order_id), safe='')}"


def book_path(symbol: str) -> str:
    return f"/books/{quote(symbol, safe='')}"


def _body(terms: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(_given(terms))


def _given(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in terms.items() if value is not None}


def _target(path: str, params: Mapping[str, Any]) -> str:
    """Parameters of None are left out; times are told in UTC."""
    given = {name: _parameter(value) for name, value in params.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _parameter(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case str() | int() | UUID():
            return str(value)
        case _:
            return ",".join(value)
