"""A Unix socket before another one, that can be shut: then whatever it carries is cut in the middle."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import Self

CHUNK_BYTES = 262_144  # what the exchange writes at once


class Gate:
    """Shut when it is made. Connections that come while it is shut are closed at once.

    `carried_bytes` came from the other socket so far, and were taken here.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self.carried_bytes = 0
        self._target = str(target)
        self._lock = Condition()
        self._most_bytes = math.inf
        self._is_open = False
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> Self:
        Thread(target=self._accept, name="gate", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()
        _end(self._listener)

    def open(self, more_bytes: float = math.inf) -> None:
        """For some so many more; then what comes waits until it is opened again."""
        with self._lock:
            self._is_open = True
            self._most_bytes = self.carried_bytes + more_bytes
            self._lock.notify_all()

    def shut(self) -> None:
        with self._lock:
            self._is_open = False
            ends, self._ends = self._ends, []
            self._lock.notify_all()
        for end in ends:
            _end(end)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._connect(self._listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            if self._is_open:
                with suppress(OSError):
                    server.connect(self._target)
                    self._ends += [client, server]
                    Thread(target=_carry, args=(client, server, lambda size: None), daemon=True).start()
                    Thread(target=_carry, args=(server, client, self._count), daemon=True).start()
                    return
        client.close()
        server.close()

    def _count(self, size: int) -> None:
        with self._lock:
            self.carried_bytes += size
            self._lock.wait_for(lambda: self.carried_bytes < self._most_bytes or not self._is_open)


def _carry(source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            target.sendall(chunk)
            count(len(chunk))
    _end(source)
    _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
