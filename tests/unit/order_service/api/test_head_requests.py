"""HEAD is answered as GET is, without the body."""

from typing import Any

import httpx
import pytest
from litestar.types import Receive, Scope, Send

from order_service.api.head_requests import head_as_get

pytestmark = pytest.mark.anyio


async def in_one_message(scope: Scope, receive: Receive, send: Send) -> None:
    """`more_body` is left out, which says that there is no more (ASGI 3.0)."""
    messages: list[Any] = [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]},
        {"type": "http.response.body", "body": b"text"},
    ]
    for message in messages:
        await send(message)


async def test_an_answer_in_one_message_loses_its_body_and_keeps_its_headers() -> None:
    app: Any = head_as_get(in_one_message)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders.test") as client:
        answer = await client.head("/any")
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "4", b"")
