"""An HTTP server on 127.0.0.1 that receives notices of alerts, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.waiting import WITHIN_S

SECRET = "s3cret-path"
DRIPS = -1


class WebhookReceiver:
    """`answers`: the statuses of the next requests, 200 after them; None: the request is left without an answer until
    the receiver closes, DRIPS: its answer comes so slowly that it never ends."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        self.notices: list[dict[str, Any]] = []
        self.content_types: set[str | None] = set()
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.content_types.add(self.headers["Content-Type"])
                receiver.notices.append(json.loads(body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status is None:
                    receiver._closing.wait(WITHIN_S)
                    return
                if status == DRIPS:
                    with suppress(OSError):  # the client has left
                        while not receiver._closing.wait(0.05):
                            self.wfile.write(b"H")
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the test's output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"

    @contextmanager
    def serving(self) -> Iterator[WebhookReceiver]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()
