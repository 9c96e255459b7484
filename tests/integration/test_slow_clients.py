"""Many clients that send or read as slowly as they can cost little memory, and the others are served."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest

from order_service.api.docs_pages import ASSETS_PATH
from order_service.bounds import MAX_HEAD_BYTES
from orders.bounds import MAX_BODY_BYTES
from projections.api.own_sockets import bound_sending
from projections.bounds import MAX_CLIENT_INPUT_BYTES
from tests.support.api_process import ApiProcess, api_process
from tests.support.waiting import wait_until

CLIENTS_A_KIND = 70
A_SLOW_ONE_BYTES = 160 * 1024  # of memory: the bounds of its head and answer, and the server's own
HEAD = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n"
ASSET = f"GET {ASSETS_PATH}/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
BODY = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[ApiProcess]:
    with api_process(tmp_path_factory.mktemp("slow"), module_database_url) as api:
        yield api


def client_of(api: ApiProcess, stack: ExitStack, first: bytes) -> socket.socket:
    client = stack.enter_context(socket.create_connection(api.address, timeout=10))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(first)
    return client


def answer(api: ApiProcess, *parts: bytes) -> bytes:
    """All that comes back until the server ends the connection."""
    with socket.create_connection(api.address, timeout=10) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                client.sendall(part)
        received = b""
        with suppress(ConnectionResetError):
            while chunk := client.recv(65536):
                received += chunk
        return received


def test_slow_heads_bodies_and_readers_together_keep_nobody_else_waiting(api: ApiProcess) -> None:
    with ExitStack() as stack, httpx.Client(base_url=api.url, trust_env=False, timeout=5) as http:
        assert http.post("/orders", json={"symbol": "EURUSD", "quantity": 1}).status_code == 201
        before = api.worker.memory_info().rss
        for _ in range(CLIENTS_A_KIND):
            client_of(api, stack, HEAD + b"X-Slow: ")
            client_of(api, stack, BODY)
            client_of(api, stack, (HEAD + b"\r\n") * 20)  # 20 answers of which none is read
            client_of(api, stack, ASSET * 20)
        placed = [http.post("/orders", json={"symbol": "EURUSD", "quantity": 1}) for _ in range(20)]
        others = [httpx.get(f"{api.url}/health/live", trust_env=False, timeout=5) for _ in range(5)]
        grown = api.worker.memory_info().rss - before
    assert {one.status_code for one in placed} == {201}
    assert {one.status_code for one in others} == {200}
    assert grown < 4 * CLIENTS_A_KIND * A_SLOW_ONE_BYTES, f"{grown / 4 / CLIENTS_A_KIND / 1024:.0f} kB a slow client"
    assert max(one.elapsed.total_seconds() for one in placed) < 2


def test_a_head_beyond_its_bound_is_refused_before_it_is_whole(api: ApiProcess) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "
    assert answer(api, head, b"x" * (2 * MAX_HEAD_BYTES)).startswith(b"HTTP/1.1 431 ")
    long_url = b"GET /" + b"x" * (2 * MAX_HEAD_BYTES) + b" HTTP/1.1\r\n"
    assert re.match(rb"HTTP/1.1 (414|431|400) ", answer(api, long_url))


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000", b"Transfer-Encoding: chunked"])
def test_a_body_beyond_its_bound_ends_its_connection(api: ApiProcess, framing: bytes) -> None:
    head = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + framing + b"\r\n\r\n"
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    received = answer(api, head, *([chunk] * (4 * MAX_BODY_BYTES // 0x8000)))
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in received


def test_a_socket_that_sends_a_message_without_end_is_cut(api: ApiProcess) -> None:
    """The server hands over whole messages only, so that the app cannot see one that never is."""
    with socket.create_connection(api.address, timeout=10) as client:
        client.sendall(UPGRADE)
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        began_of_16_mib = bytes([2, 0x80 | 127]) + (16 << 20).to_bytes(8, "big") + bytes(4)
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(began_of_16_mib + bytes(2 * MAX_CLIENT_INPUT_BYTES))
            while client.recv(4096):
                pass


def test_no_answer_tells_what_serves_it(api: ApiProcess) -> None:
    asked = (b"GET /health/live", b"GET /nowhere", b"POST /orders", b"NONSENSE /")
    for request in asked:
        head = answer(api, request + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").split(b"\r\n\r\n")[0]
        server = re.findall(rb"(?im)^(?:server|x-powered-by|via): *(.*?)\r?$", head)
        assert not [one for one in server if re.search(rb"\d", one)], head


def test_a_client_that_takes_nothing_of_its_answer_is_cut_by_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert bound_sending(16 * 1024, 300)
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as served:
            served.setblocking(False)

            def cut() -> bool:
                try:
                    while True:
                        served.send(b"x" * 65536)
                except BlockingIOError:
                    return False
                except OSError as error:
                    return error.errno == errno.ETIMEDOUT

            wait_until(cut, within_s=10, what="the end of a connection that nobody reads")
            assert client.fileno() > 0
