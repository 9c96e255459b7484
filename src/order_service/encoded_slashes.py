"""A slash that a client has encoded is a part of its segment and parts no path (RFC 3986, 2.2 and 3.3)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.parameters import ENCODED_SLASH

_SLASH = re.compile(ENCODED_SLASH.encode(), re.IGNORECASE)


def encoded_slashes_kept(app: ASGIApp) -> ASGIApp:
    """Around the whole app, since routes are found by the decoded path: in it such a slash stays encoded."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            segments = _SLASH.split(scope.get("raw_path", b""))
            if len(segments) > 1:
                kept: Any = {**scope, "path": ENCODED_SLASH.join(unquote(one.decode("ascii")) for one in segments)}
                scope = kept
        await app(scope, receive, send)

    return handle
