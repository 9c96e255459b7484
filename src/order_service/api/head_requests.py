"""What a path takes: HEAD wherever there is GET (RFC 9110, 9.3.2), and an Allow header that names all of it (9.3.7)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from orders.http import HEAD_ONLY

_UNKNOWN_METHOD = "NONE"
_OF_CONTENT = (b"content-type", b"content-length")


def head_as_get(app: ASGIApp) -> ASGIApp:
    """Around the whole app, since routes are found by method."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != HttpMethod.HEAD:
            await app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        as_get: Any = {**scope, "method": "GET", HEAD_ONLY: True}
        await app(as_get, receive, send_head)

    return handle


def methods_told(app: ASGIApp) -> ASGIApp:
    """OPTIONS is answered from what a path's 405 would allow: Litestar's own answer names the methods of one of the
    path's routes only, and its 405 leaves out HEAD."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        asks = scope["method"] == HttpMethod.OPTIONS
        told = False

        async def send_told(message: Any) -> None:
            nonlocal told
            if message["type"] == "http.response.start" and message["status"] == HTTPStatus.METHOD_NOT_ALLOWED:
                headers = [
                    (name, _with_head(value) if name == b"allow" else value) for name, value in message["headers"]
                ]
                told = asks
                if told:
                    headers = [(name, value) for name, value in headers if name not in _OF_CONTENT]
                    message = {**message, "status": int(HTTPStatus.NO_CONTENT)}
                message = {**message, "headers": headers}
            elif told:
                message = {**message, "body": b""}
            await send(message)

        asked: Any = {**scope, "method": _UNKNOWN_METHOD} if asks else scope
        await app(asked, receive, send_told)

    return handle


def _with_head(allowed: bytes) -> bytes:
    methods = [method.strip() for method in allowed.decode().split(",")]
    if "GET" in methods and "HEAD" not in methods:
        methods.append("HEAD")
    return ", ".join(sorted(methods)).encode()
