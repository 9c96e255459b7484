"""A slash that a client has encoded is a part of its segment and parts no path."""

from __future__ import annotations

from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from orders.path_segments import routed_path


def encoded_slashes_kept(app: ASGIApp) -> ASGIApp:
    """Around the whole app, since routes are found by the path. Handlers read segments with `segment_text`."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and b"%" in (raw_path := scope.get("raw_path", b"")):
            kept: Any = {**scope, "path": routed_path(raw_path)}
            scope = kept
        await app(scope, receive, send)

    return handle
