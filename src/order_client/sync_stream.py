"""A stream for threads: an iterator over a `Follower`, whose steps it carries out on a WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from ssl import SSLContext
from threading import Event
from types import TracebackType
from typing import Generic, Self, TypeVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, reconnect

from order_client.following import Connect, Connected, Ended, Follower, Frame, Outcome, Receive, Silence, Step
from order_client.wire import CONNECT_ERRORS, ended, not_connected, socket_options

T = TypeVar("T")


class _Connecting(reconnect):
    """Where a service sends elsewhere, nobody is asked, nor told the headers, but who was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Stream(Generic[T]):
    """Messages, one after the other, without end. As a context manager it begins when it is entered: what happens from
    then on will come; otherwise it begins at the first message that is asked for. Iterating is for one thread; `close`
    ends it from any. After an error it may be asked again, and goes on where it was."""

    def __init__(
        self, begin: Callable[[], Follower[T]], headers: Mapping[str, str], tls: SSLContext | None = None
    ) -> None:
        self._begin = begin
        self._headers = headers
        self._tls = tls
        self._follower: Follower[T] | None = None
        self._socket: ClientConnection | None = None
        self._closed = Event()

    @property
    def position(self) -> int:
        """Where another stream may go on: `after=position` brings what this one has not yet given. Of several messages
        of one position it counts the last. 0 before the stream has begun."""
        return self._follower.position if self._follower else 0

    def close(self) -> None:
        self._closed.set()
        self._hang_up()

    def __enter__(self) -> Self:
        self._begun()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        follower = self._begun()
        while not follower.ready:
            outcome = None if self._closed.is_set() else self._carry_out(follower.step)
            if self._closed.is_set():
                raise StopIteration
            follower.tell(outcome)
        return follower.take()

    def _begun(self) -> Follower[T]:
        if self._follower is None:
            self._follower = self._begin()
        return self._follower

    def _carry_out(self, step: Step) -> Outcome:
        match step:
            case Connect(url):
                return self._connect(url)
            case Receive(timeout_s):
                return self._receive(timeout_s)
            case _:
                self._hang_up()
                self._closed.wait(step.seconds)
                return None

    def _connect(self, url: str) -> Outcome:
        self._hang_up()
        try:
            self._socket = _Connecting(
                url, **socket_options(self._headers, self._tls if url.startswith("wss:") else None)
            ).__enter__()
        except CONNECT_ERRORS as error:
            return not_connected(error)
        if self._closed.is_set():  # it was closed meanwhile, and may not have seen this socket
            self._hang_up()
        return Connected()

    def _receive(self, timeout_s: float) -> Outcome:
        socket = self._socket
        if socket is None:
            return Ended(1006, "the connection was closed")
        try:
            return Frame(socket.recv(timeout_s))
        except TimeoutError:
            return Silence()
        except ConnectionClosed as closed:
            return ended(closed)

    def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            with suppress(OSError):
                socket.close()
