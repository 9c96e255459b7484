"""Who may use which route, as the OpenAPI document tells it: from the routes' own `opt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from litestar import HttpMethod, Litestar
from litestar.routes import HTTPRoute
from msgspec import Struct

from order_service.api.documented_paths import problem_response
from order_service.security.access import SCOPE
from order_service.security.errors import CHALLENGE
from order_service.security.principal import PUBLIC

SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`orders keys create`), or a JSON Web Token where the service takes them.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key, as well."},
}


class NamedScope(Struct, frozen=True):
    """A route's handler, and the scope that it names; None where it forgot to."""

    kind: str
    method: str
    path: str
    scope: str | None


def named_scopes(app: Litestar) -> Iterator[NamedScope]:
    """Every handler of the app's own route table. `kind` is http, websocket or asgi; `method` is one of HTTP's, or *.

    OPTIONS is left out: it is answered before any route is reached (`head_requests.py`)."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                for method in handler.http_methods - {HttpMethod.OPTIONS}:
                    yield NamedScope("http", str(method), route.path_format, handler.opt.get(SCOPE))
        else:
            yield NamedScope(route.scope_type.value, "*", route.path_format, route.route_handler.opt.get(SCOPE))


class DocumentedAccess:
    """Filled once the app has its routes. `required`: the app serves nobody without a credential."""

    def __init__(self) -> None:
        self.required = False
        self._scopes: dict[tuple[str, str], str | None] = {}

    def learn(self, app: Litestar, *, required: bool) -> None:
        self.required = required
        self._scopes = {(one.method.lower(), one.path): one.scope for one in named_scopes(app)}

    def told_in(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document, in which every operation says what it needs, and how it refuses who lacks that."""
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                scope = self._scopes.get((method, path))
                operation["security"] = _security(scope, self.required)
                operation["responses"] |= _refusals(scope, operation["responses"])
        return document


def _security(scope: str | None, required: bool) -> list[dict[str, list[str]]]:
    """OpenAPI 3.1: the list of a scheme without OAuth names roles. An empty requirement: it goes without, too."""
    if scope == PUBLIC:
        return []
    named = [str(scope)]
    return [{"bearer": named}, {"apiKey": named}, *([] if required else [{}])]


def _refusals(scope: str | None, present: Mapping[str, Any]) -> dict[str, Any]:
    texts = {"421": "The request is meant for another host"}
    if scope != PUBLIC:
        texts["401"] = "No credential is shown, or none that holds"
        texts["403"] = f"The credential lacks the scope `{scope}`, or a page of another origin asks"
    return {status: _problem(status, text) for status, text in texts.items() if status not in present}


def _problem(status: str, text: str) -> dict[str, Any]:
    response = problem_response(text)
    if status in ("401", "403"):
        schema = {"type": "string"}
        response["headers"] = {CHALLENGE: {"description": "How a credential is shown (RFC 6750).", "schema": schema}}
    return response
