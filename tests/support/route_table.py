"""Every route of an app, found from its own table, so that a test cannot forget a new one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from litestar import HttpMethod, Litestar
from litestar.routes import ASGIRoute, HTTPRoute

_FILLED = {"order_id": "5f0c9a51-3c1e-5d0a-9d55-6a2f4b7f8e01", "symbol": "EURUSD", "file_path": "swagger-ui.css"}


@dataclass(frozen=True)
class Endpoint:
    """`path` has values in the places of its parameters."""

    method: str
    path: str


def endpoints(app: Litestar) -> Iterator[Endpoint]:
    """Those of HTTP; OPTIONS is answered before any route is reached."""
    for route in app.routes:
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: _FILLED.get(found[1], "x"), route.path)
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                yield from (Endpoint(str(method), path) for method in handler.http_methods - {HttpMethod.OPTIONS})
        elif isinstance(route, ASGIRoute):
            yield Endpoint("GET", path)
