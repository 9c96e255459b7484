"""A small HTTP/1.1 client for measuring: keep-alive connections, one request at a time on each, no retries.

It costs some 15 µs of CPU a request, where a general client costs 300, and would be what is measured.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

MAX_ANSWER_BYTES = 1024 * 1024  # an answer of an order has 500 bytes
ANSWER_TIMEOUT_S = 30.0  # far above the service's own bounds: what is slower is counted as lost

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class BrokenAnswer(Exception):
    """The server closed the connection, or sent what is no HTTP/1.1 answer with a Content-Length."""


class Answer(Struct, frozen=True):
    status: int
    head: bytes
    body: bytes


class Round(Struct, frozen=True):
    """`latencies_s` has one number an answer, in no order; `failures` counts requests without an answer by reason."""

    seconds: float
    latencies_s: list[float]
    statuses: dict[int, int]
    failures: dict[str, int]

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds


class Connection(asyncio.Protocol):
    """One connection; `ask` sends a request and gives its answer. Not for two callers at once."""

    def __init__(self) -> None:
        self._received = b""
        self._needed = 0  # bytes of the answer, once its head is there
        self._waiting: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext | None = None) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port, ssl=tls)
        return connection

    async def ask(self, request: bytes) -> Answer:
        """Raises BrokenAnswer."""
        if self._transport is None or self._transport.is_closing():
            raise BrokenAnswer("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed:
            self._needed = self._length()
        if len(self._received) > MAX_ANSWER_BYTES:
            self._break("the answer is too long")
        elif self._needed and len(self._received) >= self._needed:
            head, _, body = self._received.partition(_HEAD_END)
            self._received, self._needed = b"", 0
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(Answer(int(head[9:12]), head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._break("the connection was closed")

    def _length(self) -> int:
        """Bytes of the whole answer; 0 while its head is not there."""
        end = self._received.find(_HEAD_END)
        if end < 0:
            return 0
        head = self._received[:end].lower()
        at = head.find(_LENGTH)
        if at < 0 or not head.startswith(b"http/1.1 "):
            self._break("the answer has no Content-Length")
            return 0
        return end + len(_HEAD_END) + int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])

    def _break(self, reason: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(BrokenAnswer(reason))
        if self._transport is not None:
            self._transport.abort()


def post(host: str, path: str, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A request, ready to be sent as often as one likes."""
    return request("POST", host, path, body, headers)


def request(method: str, host: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The same, of any method."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        *(["Content-Type: application/json"] if body else []),
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode() + _HEAD_END + body


async def closed_loop(
    host: str, port: int, next_request: Callable[[], bytes], *, connections: int, seconds: float
) -> Round:
    """Each of the connections asks again as soon as it has its answer, for that long."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    failures: Counter[str] = Counter()
    links = await asyncio.gather(*(Connection.open(host, port) for _ in range(connections)))
    began = time.perf_counter()
    end_at = began + seconds

    async def run(link: Connection) -> None:
        try:
            while (sent_at := time.perf_counter()) < end_at:
                try:
                    answer = await link.ask(next_request())
                except BrokenAnswer as error:
                    failures[str(error)] += 1
                    link = await Connection.open(host, port)
                    continue
                latencies.append(time.perf_counter() - sent_at)
                statuses[answer.status] += 1
        finally:
            link.close()

    try:
        async with asyncio.timeout(seconds + ANSWER_TIMEOUT_S):
            await asyncio.gather(*(run(link) for link in links))
    except TimeoutError:
        failures[f"no answer within {ANSWER_TIMEOUT_S:g} s"] += 1
    return Round(time.perf_counter() - began, latencies, dict(statuses), dict(failures))
