"""nginx as it is shipped, before servers of the test's own: what it passes on, what it repeats, what it never does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.support.certificates import certificate
from tests.support.nginx import Nginx, running_nginx
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

REQUESTS = 8


class Upstream(ThreadingHTTPServer):
    """Takes every request, notes it, and answers 200 with `body`; `breaks`: it takes the request and is gone."""

    breaks = False
    body = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, dict[str, str]]] = []
        self._thread = Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.taken.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
        if not self.server.breaks:
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.body)))
            self.end_headers()
            self.wfile.write(self.server.body)

    do_POST = do_PATCH = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        servers = [Upstream() for _ in range(2)]
        for server in servers:
            stack.callback(server.end)
        yield servers


@pytest.fixture
def nginx(tmp_path: Path, upstreams: list[Upstream]) -> Iterator[Nginx]:
    with running_nginx(tmp_path, [server.port for server in upstreams]) as nginx:
        for server in upstreams:
            server.taken.clear()
        yield nginx


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_was_sent_and_may_have_been_taken_is_not_repeated(
    nginx: Nginx, upstreams: list[Upstream], method: str
) -> None:
    upstreams[0].breaks = True
    answers = [httpx.request(method, nginx.url, content=b"{}", trust_env=False) for _ in range(REQUESTS)]
    lost = [answer for answer in answers if answer.status_code == 502]
    assert len(lost) == len(upstreams[0].taken) > 0
    assert sum(len(server.taken) for server in upstreams) == REQUESTS
    assert lost[0].headers["content-type"] == "application/problem+json"
    assert lost[0].headers["retry-after"] == "1"
    assert "Repeat it with the same key" in lost[0].json()["detail"]


def test_a_read_is_repeated_at_the_other_process(nginx: Nginx, upstreams: list[Upstream]) -> None:
    upstreams[0].breaks = True
    assert {httpx.get(nginx.url, trust_env=False).status_code for _ in range(REQUESTS)} == {200}
    assert upstreams[0].taken


def test_a_process_that_refuses_connections_fails_no_request(tmp_path: Path, upstreams: list[Upstream]) -> None:
    with running_nginx(tmp_path, [free_port(), upstreams[0].port]) as nginx:
        assert {httpx.post(nginx.url, trust_env=False).status_code for _ in range(REQUESTS)} == {200}


def test_a_process_that_was_away_serves_at_once_when_the_other_one_goes(
    tmp_path: Path, upstreams: list[Upstream]
) -> None:
    first, second = upstreams
    with running_nginx(tmp_path, [server.port for server in upstreams]) as nginx:
        second.breaks = True
        assert {httpx.get(nginx.url, trust_env=False).status_code for _ in range(2 * REQUESTS)} == {200}
        first.breaks, second.breaks = True, False
        assert {httpx.get(nginx.url, trust_env=False).status_code for _ in range(2 * REQUESTS)} == {200}


@pytest.mark.parametrize("path", ["/docs/assets/swagger-ui-bundle.js", "/openapi.json"])
def test_what_strangers_may_ask_for_is_kept_in_no_file_for_those_who_take_it_slowly(
    tmp_path: Path, upstreams: list[Upstream], path: str
) -> None:
    body = bytes(8 << 20)
    with running_nginx(tmp_path, [server.port for server in upstreams]) as nginx:
        for server in upstreams:
            server.taken.clear()
            server.body = body
        with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            wait_until(lambda: any(server.taken for server in upstreams), what="the request at the API")
            received = sum(len(part) for part in iter(lambda: client.recv(16_384), b""))
        assert received > len(body)
        assert "temporary file" not in nginx.tail()


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a process that is stopped: the kernel still connects for it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        yield listener.getsockname()[1]


def test_a_process_that_does_not_answer_is_set_aside_after_three_failures(
    tmp_path: Path, upstreams: list[Upstream], hung: int
) -> None:
    with running_nginx(tmp_path, [upstreams[0].port, hung], patience="500ms") as nginx:
        answers = [httpx.post(nginx.url, trust_env=False) for _ in range(2 * REQUESTS)]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert 2 <= len(lost) <= 3, "its first failure may have been at the start"
    assert {(answer.status_code, answer.json()["status"]) for answer in lost} == {(502, 502)}


def test_a_read_that_waited_for_a_process_that_does_not_answer_is_asked_elsewhere(
    tmp_path: Path, upstreams: list[Upstream], hung: int
) -> None:
    with running_nginx(tmp_path, [upstreams[0].port, hung], patience="500ms") as nginx:
        assert {httpx.get(nginx.url, trust_env=False).status_code for _ in range(2 * REQUESTS)} == {200}


def test_the_api_is_told_who_asks_and_not_what_the_client_says_of_itself(
    nginx: Nginx, upstreams: list[Upstream]
) -> None:
    claims = {"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https", "Host": "orders.example:8443"}
    httpx.get(nginx.url, headers=claims, trust_env=False)
    httpx.get(f"{nginx.url}/ws", headers={"Connection": "Upgrade", "Upgrade": "websocket"}, trust_env=False)
    (_, asked), (_, upgrade) = [one for server in upstreams for one in server.taken][:2]
    if "upgrade" in asked:
        asked, upgrade = upgrade, asked
    told = {name: asked.get(name) for name in ("host", "x-forwarded-for", "x-forwarded-proto", "connection")}
    assert told == {
        "host": "orders.example:8443",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
        "connection": "close",
    }
    assert (upgrade["connection"], upgrade["upgrade"]) == ("upgrade", "websocket")


def test_with_tls_it_serves_over_https_and_sends_others_there(tmp_path: Path, upstreams: list[Upstream]) -> None:
    (tmp_path / "own").mkdir()
    files = certificate(tmp_path / "own")
    mine = Path(files["TLS_CERTIFICATE"]), Path(files["TLS_KEY"])
    with running_nginx(tmp_path, [server.port for server in upstreams], mine) as nginx:
        trusted = ssl.create_default_context(cafile=mine[0])
        secure = httpx.get(f"https://localhost:{nginx.tls_port}/orders", verify=trusted, trust_env=False)
        plain = httpx.post(f"{nginx.url}/orders", trust_env=False)
    assert (secure.status_code, plain.status_code) == (200, 308)
    assert plain.headers["location"] == "https://127.0.0.1/orders"
    ((_, headers),) = [one for server in upstreams for one in server.taken]
    assert headers["x-forwarded-proto"] == "https"
