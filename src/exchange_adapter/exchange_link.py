"""One connection to the simulated exchange, shared by many threads: each call waits for the answer with its own id."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from itertools import count
from typing import Any

import structlog

from exchange_adapter.bounds import CONNECT_TIMEOUT_S, MAX_LINE_BYTES, RECEIVE_BYTES, RECONNECT_S
from exchange_adapter.venue import NotSent, Unknown
from exchange_adapter.wire import Answer, Lines, answer_decoder, connect, line
from orders.unreadable import UNREADABLE

log = structlog.get_logger(__name__)


class _Waiting:
    """One call that waits for its answer; `answer` stays None where the connection ended first."""

    def __init__(self) -> None:
        self.settled = threading.Event()
        self.answer: Answer | None = None


class _Connection:
    def __init__(self, address: str) -> None:
        self.broken = False
        self.heard_at = time.monotonic()
        self._socket = connect(address)
        # A write to an exchange that does not read ends; reads block until something comes or `close` is called.
        patience = struct.pack("ll", int(CONNECT_TIMEOUT_S), 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self._writing = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = count(1)
        threading.Thread(target=self._read, name="exchange-answers", daemon=True).start()

    def call(self, message: dict[str, Any], timeout_s: float) -> Answer | NotSent | Unknown:
        began = time.monotonic()
        waiting, number = _Waiting(), next(self._numbers)
        with self._writing:
            self._waiting[number] = waiting  # before the look at `broken`, so that `close` misses no one
            if self.broken:
                return NotSent("the connection to the exchange was lost before the request was written")
            try:
                self._socket.sendall(line({**message, "id": number}))
            except OSError as error:
                self.close(f"cannot be written to: {error}")
                return Unknown(f"the connection to the exchange broke while the request was written: {error}")
        if not waiting.settled.wait(timeout_s):
            self._waiting.pop(number, None)
            if self.heard_at < began:
                self.close(f"was silent for {timeout_s:g} s")
            return Unknown(f"no answer within {timeout_s:g} s")
        return waiting.answer or Unknown("the connection to the exchange was lost before the answer came")

    def close(self, reason: str) -> None:
        """Ends it, and every call that waits on it as Unknown."""
        if self.broken:
            return
        self.broken = True
        log.info("exchange connection ended", reason=reason)
        with suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        for waiting in list(self._waiting.values()):
            waiting.settled.set()
        self._waiting.clear()

    def _read(self) -> None:
        lines = Lines()
        try:
            while received := self._socket.recv(RECEIVE_BYTES):
                self.heard_at = time.monotonic()
                for text in lines.feed(received):
                    self._settle(answer_decoder.decode(text))
                if lines.waiting > MAX_LINE_BYTES:
                    self.close("sent a line without an end")
            self.close("was ended by the exchange")
        except OSError as error:
            self.close(f"broke: {error}")
        except UNREADABLE as error:
            self.close(f"sent what is no answer: {error}")
        finally:
            self._socket.close()

    def _settle(self, answer: Answer) -> None:
        waiting = self._waiting.pop(answer.id, None) if isinstance(answer.id, int) else None
        if waiting is not None:
            waiting.answer = answer
            waiting.settled.set()


class ExchangeLink:
    """Keeps a connection, and opens a new one when a call needs it: at most one attempt per backoff step."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opening = threading.Lock()
        self._connection: _Connection | None = None
        self._retry_at = 0.0
        self._pause_s = RECONNECT_S[0]
        self._failure = ""
        self._closed = False

    def call(self, message: dict[str, Any], timeout_s: float) -> Answer | NotSent | Unknown:
        """The answer. NotSent where surely nothing was written; Unknown where the answer did not come."""
        connection = self._connected()
        return connection if isinstance(connection, NotSent) else connection.call(message, timeout_s)

    def close(self) -> None:
        with self._opening:
            self._closed = True
            if self._connection is not None:
                self._connection.close("the adapter stops")

    def _connected(self) -> _Connection | NotSent:
        connection = self._connection
        if connection is not None and not connection.broken:
            return connection
        with self._opening:
            connection = self._connection
            if connection is not None and not connection.broken:
                return connection
            if self._closed:
                return NotSent("the adapter stops")
            if time.monotonic() < self._retry_at:
                return NotSent(f"the exchange cannot be reached: {self._failure}")
            return self._open()

    def _open(self) -> _Connection | NotSent:
        try:
            self._connection = _Connection(self._address)
        except (OSError, ValueError) as error:
            self._failure = str(error)
            self._retry_at = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, RECONNECT_S[1])
            return NotSent(f"the exchange cannot be reached: {error}")
        self._pause_s = RECONNECT_S[0]
        log.info("exchange connected", address=self._address)
        return self._connection
