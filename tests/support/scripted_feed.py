"""A WebSocket server that does on each connection what a test has scripted."""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Script = Callable[[ServerConnection], None]

HELD_S = 20.0


def frames(*contents: Any) -> Script:
    """Sends each as a frame, and leaves the connection open until the client ends it."""

    def play(connection: ServerConnection) -> None:
        for content in contents:
            connection.send(json.dumps(content))
        with suppress(ConnectionClosed):
            connection.recv()

    return play


def closing(code: int, reason: str, *contents: Any) -> Script:
    """Sends these frames, then a close code."""

    def play(connection: ServerConnection) -> None:
        for content in contents:
            connection.send(json.dumps(content))
        connection.close(code, reason)

    return play


def cut(*contents: Any) -> Script:
    """Sends these frames, then the connection is lost without a goodbye."""

    def play(connection: ServerConnection) -> None:
        for content in contents:
            connection.send(json.dumps(content))
        connection.socket.shutdown(socket.SHUT_RDWR)

    return play


class ScriptedFeed:
    """Connections take the scripts in turn; `asked` has the paths that were asked for. What is no /ws is answered as
    the service answers for its instruments: with `position`. `location` goes with refusals; while `answers` is not
    set, nobody is let in, nor refused. While it is not open, connections are refused."""

    def __init__(self, position: int = 0) -> None:
        self.asked: list[str] = []
        self.position = position
        self.refusals: deque[int] = deque()
        self.location = ""
        self.answers = Event()
        self.answers.set()
        self._scripts: deque[Script] = deque()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._server: Server | None = None
        self._thread: Thread | None = None

    def plays(self, *scripts: Script) -> ScriptedFeed:
        self._scripts.extend(scripts)
        return self

    def open(self) -> ScriptedFeed:
        self._server = serve(self._serve, "127.0.0.1", self._port, process_request=self._answer, ping_interval=None)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server = None

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked.append(request.path)
        if not request.path.startswith("/ws"):
            headers = Headers({"Orders-Position": str(self.position), "Content-Length": "2", "Connection": "close"})
            return Response(200, "OK", headers, b"[]")
        assert self.answers.wait(HELD_S)
        if self.refusals:
            refusal = connection.respond(self.refusals.popleft(), "not now")
            if self.location:
                refusal.headers["Location"] = self.location
            return refusal
        return None

    def _serve(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            self._scripts.popleft()(connection)


@contextmanager
def scripted_feed(position: int = 0) -> Iterator[ScriptedFeed]:
    feed = ScriptedFeed(position).open()
    try:
        yield feed
    finally:
        feed.close()
