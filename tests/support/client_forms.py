"""The client's two forms behind one face, so that one test speaks for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from order_client import AsyncOrderClient, OrderClient

FORMS = ("sync", "async")
WITHIN_S = 20.0


class Messages(Protocol):
    """A stream that has begun."""

    async def take(self, count: int) -> list[Any]: ...

    async def rest(self) -> list[Any]:
        """All until somebody ends it."""
        ...

    async def end(self) -> None: ...

    @property
    def position(self) -> int: ...


class Form(Protocol):
    """A client. `call` is a method's answer, `rows` all that it lists, `stream` or `stream_json` what it follows."""

    async def call(self, method: str, *given: Any, **named: Any) -> Any: ...

    async def rows(self, method: str, *given: Any, **named: Any) -> list[Any]: ...

    def stream(self, method: str = "stream", **named: Any) -> Any: ...

    @property
    def position(self) -> int: ...


@asynccontextmanager
async def client_form(form: str, base_url: Any, **options: Any) -> AsyncIterator[Form]:
    if form == "sync":
        with OrderClient(base_url, **options) as client:
            yield _Sync(client)
    else:
        async with AsyncOrderClient(base_url, **options) as client_:
            yield _Async(client_)


async def _in_thread(run: Callable[[], Any]) -> Any:
    async with asyncio.timeout(WITHIN_S):
        return await asyncio.to_thread(run)


class _Sync:
    def __init__(self, client: OrderClient) -> None:
        self._client = client

    @property
    def position(self) -> int:
        return self._client.position

    async def call(self, method: str, *given: Any, **named: Any) -> Any:
        return await _in_thread(lambda: getattr(self._client, method)(*given, **named))

    async def rows(self, method: str, *given: Any, **named: Any) -> list[Any]:
        rows: list[Any] = await _in_thread(lambda: list(getattr(self._client, method)(*given, **named)))
        return rows

    @asynccontextmanager
    async def stream(self, method: str = "stream", **named: Any) -> AsyncIterator[Messages]:
        stream = getattr(self._client, method)(**named)
        await _in_thread(stream.__enter__)
        try:
            yield _SyncMessages(stream)
        finally:
            stream.close()


class _SyncMessages:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def position(self) -> int:
        position: int = self._stream.position
        return position

    async def take(self, count: int) -> list[Any]:
        taken: list[Any] = await _in_thread(lambda: [next(self._stream) for _ in range(count)])
        return taken

    async def rest(self) -> list[Any]:
        taken: list[Any] = await _in_thread(lambda: list(self._stream))
        return taken

    async def end(self) -> None:
        await _in_thread(self._stream.close)


class _Async:
    def __init__(self, client: AsyncOrderClient) -> None:
        self._client = client

    @property
    def position(self) -> int:
        return self._client.position

    async def call(self, method: str, *given: Any, **named: Any) -> Any:
        async with asyncio.timeout(WITHIN_S):
            return await getattr(self._client, method)(*given, **named)

    async def rows(self, method: str, *given: Any, **named: Any) -> list[Any]:
        async with asyncio.timeout(WITHIN_S):
            return [row async for row in getattr(self._client, method)(*given, **named)]

    @asynccontextmanager
    async def stream(self, method: str = "stream", **named: Any) -> AsyncIterator[Messages]:
        async with getattr(self._client, method)(**named) as stream:
            yield _AsyncMessages(stream)


class _AsyncMessages:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def position(self) -> int:
        position: int = self._stream.position
        return position

    async def take(self, count: int) -> list[Any]:
        async with asyncio.timeout(WITHIN_S):
            return [await anext(self._stream) for _ in range(count)]

    async def rest(self) -> list[Any]:
        async with asyncio.timeout(WITHIN_S):
            return [one async for one in self._stream]

    async def end(self) -> None:
        await self._stream.aclose()
