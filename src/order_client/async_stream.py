"""A stream for asyncio: an iterator over a `Follower`, whose steps it carries out on a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from ssl import SSLContext
from types import TracebackType
from typing import Generic, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from order_client.following import Connect, Connected, Ended, Follower, Frame, Outcome, Receive, Silence, Step
from order_client.wire import CONNECT_ERRORS, ended, not_connected, socket_options

T = TypeVar("T")


class _Connecting(connect):
    """Where a service sends elsewhere, nobody is asked, nor told the headers, but who was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class AsyncStream(Generic[T]):
    """Messages, one after the other, without end. As a context manager it begins when it is entered: what happens from
    then on will come; otherwise it begins at the first message that is asked for. Waiting for a message may be
    cancelled, for example by a timeout: nothing is lost by that. Iterating is for one task; `aclose` ends it from
    another. After an error it may be asked again, and goes on where it was."""

    def __init__(
        self, begin: Callable[[], Awaitable[Follower[T]]], headers: Mapping[str, str], tls: SSLContext | None = None
    ) -> None:
        self._begin = begin
        self._headers = headers
        self._tls = tls
        self._follower: Follower[T] | None = None
        self._socket: ClientConnection | None = None
        self._closed = asyncio.Event()

    @property
    def position(self) -> int:
        """Where another stream may go on: `after=position` brings what this one has not yet given. Of several messages
        of one position it counts the last. 0 before the stream has begun."""
        return self._follower.position if self._follower else 0

    async def aclose(self) -> None:
        self._closed.set()
        await self._hang_up()

    async def __aenter__(self) -> Self:
        await self._begun()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        follower = await self._begun()
        while not follower.ready:
            outcome = None if self._closed.is_set() else await self._carry_out(follower.step)
            if self._closed.is_set():
                raise StopAsyncIteration
            follower.tell(outcome)
        return follower.take()

    async def _begun(self) -> Follower[T]:
        if self._follower is None:
            self._follower = await self._begin()
        return self._follower

    async def _carry_out(self, step: Step) -> Outcome:
        match step:
            case Connect(url):
                return await self._connect(url)
            case Receive(timeout_s):
                return await self._receive(timeout_s)
            case _:
                await self._hang_up()
                with suppress(TimeoutError):
                    async with asyncio.timeout(step.seconds):
                        await self._closed.wait()
                return None

    async def _connect(self, url: str) -> Outcome:
        await self._hang_up()
        try:
            self._socket = await _Connecting(
                url, **socket_options(self._headers, self._tls if url.startswith("wss:") else None)
            )
        except CONNECT_ERRORS as error:
            return not_connected(error)
        if self._closed.is_set():  # it was closed meanwhile, and has not seen this socket
            await self._hang_up()
        return Connected()

    async def _receive(self, timeout_s: float) -> Outcome:
        socket = self._socket
        if socket is None:
            return Ended(1006, "the connection was closed")
        try:
            async with asyncio.timeout(timeout_s):
                return Frame(await socket.recv())
        except TimeoutError:
            return Silence()
        except ConnectionClosed as closed:
            return ended(closed)

    async def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
