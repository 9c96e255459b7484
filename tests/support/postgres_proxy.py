"""A proxy before PostgreSQL that loses what a network may lose: requests, answers, or the end of an answer."""

import socket
import tempfile
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

READY_FOR_QUERY_BYTES = 6  # its message: Z, a length of 5, and the transaction's state
CHUNK_BYTES = 1 << 20


class Fault(Enum):
    """What happens to the next request and its answer."""

    LOSE_REQUEST = auto()  # the connection breaks before the server has the request
    BREAK_AFTER_REQUEST = auto()  # the server has it, and works on; the client's connection breaks at once
    LOSE_ANSWER = auto()  # the connection breaks once the server has answered in full
    CUT_READY = auto()  # the client gets the answer, but not the message that ends it
    FREEZE = auto()  # no answer, and the connection stays


class PostgresProxy:
    """`url` leads through it. `arm` plans one fault; `refuses` closes new connections; `requests` counts."""

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        query = parse_qs(parts.query)
        port = query["port"][0]
        self._target = f"{query['host'][0]}/.s.PGSQL.{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="pgproxy")
        self.url = urlunsplit(parts._replace(query=f"host={quote(self._folder.name)}&port={port}"))
        self.refuses = False
        self.struck = Event()
        self._fault: Fault | None = None
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._links: list[_Link] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(Path(self._folder.name) / f".s.PGSQL.{port}"))
        self._listener.listen()

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            _close(end)
        self._folder.cleanup()

    def arm(self, fault: Fault) -> None:
        self.struck.clear()
        with self._lock:
            self._fault = fault

    @property
    def ended(self) -> int:
        """How many connections the server has ended, and the client can see it."""
        return sum(link.ended.is_set() for link in self._links)

    def silence(self) -> None:
        """From now on no open connection says anything to its client, and each stays open."""
        for link in self._links:
            link.fault = Fault.FREEZE

    def _strike(self) -> Fault | None:
        with self._lock:
            fault, self._fault = self._fault, None
        return fault

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._open += [client, server]
            link = _Link(self, client, server)
            self._links.append(link)
            Thread(target=link.requests, daemon=True).start()
            Thread(target=link.answers, daemon=True).start()


class _Link:
    """One connection; `fault` is what its request under way suffers."""

    def __init__(self, proxy: PostgresProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.fault: Fault | None = None
        self.ended = Event()

    def requests(self) -> None:
        with suppress(OSError):
            while chunk := self._client.recv(CHUNK_BYTES):
                fault = self._proxy._strike()
                if fault is not None:
                    self.fault = fault
                if fault is Fault.LOSE_REQUEST:
                    break
                self._server.sendall(chunk)
                if fault is Fault.BREAK_AFTER_REQUEST:
                    _close(self._client)
                    self._proxy.struck.set()
                    return
        _close(self._client)
        _close(self._server)
        if self.fault is not None:
            self._proxy.struck.set()

    def answers(self) -> None:
        with suppress(OSError):
            while chunk := self._server.recv(CHUNK_BYTES):
                if self.fault is None:
                    self._client.sendall(chunk)
                    continue
                if self.fault is Fault.CUT_READY:
                    self._client.sendall(chunk[:-READY_FOR_QUERY_BYTES])
                if self.fault in (Fault.CUT_READY, Fault.LOSE_ANSWER):
                    break
                self._proxy.struck.set()
        if self.fault is not Fault.FREEZE:
            _close(self._client)
            _close(self._server)
            self.ended.set()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
