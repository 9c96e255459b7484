"""Headers that tell a browser what it may do with our answers: on each of them, whoever gives it.

The answers of the API are data: nothing may run, frame or keep them. A page of ours may run the scripts and styles that
we ship, and those that stand in it, which are named by their digests (CSP Level 3, 6.7.2).
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_FOR_ALL = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_NOTHING_RUNS = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NOT_KEPT = (b"cache-control", b"no-store")
_ASKED_AGAIN = (b"cache-control", b"no-cache")
_DOCUMENTS = ("/docs", "/openapi.json", "/asyncapi.json")
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def secured(app: ASGIApp) -> ASGIApp:
    """Around the whole app."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        await app(scope, receive, _Sending(scope, send).send)

    return handle


class _Sending:
    """The start of a page waits for its body: the policy names what is in it."""

    def __init__(self, scope: Any, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._page_start: Any = None

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": self._with_headers(list(message["headers"]))}
            if not any(name == b"content-security-policy" for name, _ in message["headers"]):
                self._page_start = message
                return
        elif self._page_start is not None:
            start, self._page_start = self._page_start, None
            start["headers"].append((b"content-security-policy", _policy_of(message.get("body", b""))))
            await self._send(start)
        await self._send(message)

    def _with_headers(self, headers: list[Any]) -> list[Any]:
        given = dict(headers)
        headers += _FOR_ALL
        if self._scope["scheme"] == "https":
            headers.append(_STRICT_TRANSPORT)
        if b"cache-control" not in given:
            headers.append(_ASKED_AGAIN if self._scope["path"].startswith(_DOCUMENTS) else _NOT_KEPT)
        if not given.get(b"content-type", b"").startswith(b"text/html"):
            headers.append(_NOTHING_RUNS)
        return headers


def _policy_of(page: bytes) -> bytes:
    """Of a whole page: scripts and styles of ours, and those that stand in it. Swagger UI sets styles as it goes, which
    cannot be named."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(["'self'", *(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ).encode()
