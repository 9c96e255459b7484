"""An HTTP server that answers what a test has scripted, and remembers what it was asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

SILENT, DROPPED = "silent", "dropped"


@dataclass
class ScriptedApi:
    """Answers are taken in turn: (status, body, headers); a body of text goes out as it is, SILENT never, and with
    DROPPED the connection is closed in place of an answer."""

    url: str = ""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    over: Event = field(default_factory=Event)
    _answers: deque[tuple[int, Any, Mapping[str, str]]] = field(default_factory=deque)

    def answers(self, status: int, body: Any, **headers: str) -> ScriptedApi:
        self._answers.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))
        return self

    def next(self, method: str, path: str, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        self.asked.append((method, path, json.loads(body) if body else None))
        status, content, headers = self._answers.popleft()
        if content == SILENT:
            self.over.wait(30)
        return status, content.encode() if isinstance(content, str) else json.dumps(content).encode(), headers


class _Handler(BaseHTTPRequestHandler):
    script: ScriptedApi

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, content, headers = self.script.next(self.command, self.path, body)
        if content == DROPPED.encode():
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that did not wait for its answer is part of a test."""


@contextmanager
def scripted_api(port: int = 0) -> Iterator[ScriptedApi]:
    script = ScriptedApi()
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"script": script}))
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
