"""A WebSocket client that costs a few µs a message (RFC 6455), where a general one costs a hundred.

It knows what this service's feed sends: whole text frames, pings and a close. Anything else breaks the connection.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from msgspec import Struct

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_FIN = _MASKED = 0x80
_LONG = 126  # stands for a length of two bytes
_HEAD_END = b"\r\n\r\n"
_ABNORMAL = 1006  # RFC 6455 7.4.1: the connection ended without a closing frame


_EVENT_END = b"\n\n"


class End(Struct, frozen=True):
    """How the server ended it."""

    code: int
    reason: str


class FeedWire(asyncio.Protocol):
    """Gives each text to `hear`; `ended` is done when the connection is gone. `cut` drops it, and all that is not heard
    yet, without a word."""

    path, opens_with = "/ws", b"HTTP/1.1 101"

    def __init__(self, request: bytes, hear: Callable[[bytes], None]) -> None:
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.was_cut = False
        self._request = request
        self._hear = hear
        self._received = bytearray()
        self._text = bytearray()
        self._is_open = False
        self._end = End(_ABNORMAL, "")
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int, query: str, hear: Callable[[bytes], None]) -> FeedWire:
        """Raises OSError."""
        lines = [
            f"GET {cls.path}?{query} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            *(("Connection: Upgrade", "Upgrade: websocket") if cls.path == "/ws" else ()),
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        request = "\r\n".join(lines).encode() + _HEAD_END
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(request, hear), "127.0.0.1", port)
        return wire

    def say(self, text: bytes) -> None:
        """Sends a text of up to 64 kB."""
        self._send(_TEXT, text)

    def cut(self) -> None:
        self.was_cut = True
        self._hear = _deaf
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self._end)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open:
            head, end, rest = bytes(self._received).partition(_HEAD_END)
            if not end:
                return
            if not head.startswith(self.opens_with):
                self._break(head[:80].decode())
                return
            self._is_open = True
            self._received = bytearray(rest)
        self._take_frames()

    def _take_frames(self) -> None:
        received, at = self._received, 0
        while len(received) - at >= 2:
            start, length = at + 2, received[at + 1]
            if length == 126:
                start, length = at + 4, int.from_bytes(received[at + 2 : at + 4])
            elif length == 127:
                start, length = at + 10, int.from_bytes(received[at + 2 : at + 10])
            if len(received) < start + length:
                break
            self._take(received[at], bytes(received[start : start + length]))
            at = start + length
        del received[:at]

    def _take(self, head: int, payload: bytes) -> None:
        match head:
            case 0x81:  # _FIN | _TEXT
                self._hear(payload)
            case 0x89:  # _FIN | _PING
                self._send(_PONG, payload)
            case 0x88:  # _FIN | _CLOSE
                code = int.from_bytes(payload[:2]) if payload else 1005
                self._end = End(code, payload[2:].decode())
                self._send(_CLOSE, payload)
                if self._transport is not None:
                    self._transport.close()
            case _:
                self._break(f"a frame that begins with {head:#x}")

    def _send(self, opcode: int, payload: bytes) -> None:
        """Masked by zeros, which changes nothing: a client must mask (RFC 6455 5.3)."""
        if self._transport is not None:
            size = len(payload)
            length = bytes([_MASKED | size]) if size < _LONG else struct.pack("!BH", _MASKED | _LONG, size)
            self._transport.write(bytes([_FIN | opcode]) + length + bytes(4) + payload)

    def _break(self, why: str) -> None:
        self._end = End(_ABNORMAL, why)
        if self._transport is not None:
            self._transport.abort()


class EventsWire(FeedWire):
    """The same over GET /events (WHATWG HTML 9.2, in the chunks of RFC 9112, 7.1)."""

    path, opens_with = "/events", b"HTTP/1.1 200"

    def _take_frames(self) -> None:
        received, at = self._received, 0
        while (line_end := received.find(b"\r\n", at)) >= 0:
            size = int(received[at:line_end], 16)
            if len(received) < line_end + 2 + size + 2:
                break
            self._text += received[line_end + 2 : line_end + 2 + size]
            at = line_end + 2 + size + 2
        del received[:at]
        *events, rest = bytes(self._text).split(_EVENT_END)
        self._text = bytearray(rest)
        for event in events:
            fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if line[:1] != b":")
            if fields.get(b"event") == b"closed":
                self._end = End(0, fields[b"data"].decode())
            elif b"data" in fields:
                self._hear(fields[b"data"])


def _deaf(text: bytes) -> None:
    pass
