"""The feed of a whole API process: it says goodbye when it stops, and ends who does not read."""

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from orders.eventstore.postgres import PostgresEventStore
from tests.support.api_process import ApiProcess, api_process
from tests.support.log_events import unit
from tests.support.waiting import wait_until

WAYS = ("", "?after=4990", "?symbol=USDCAD&after=1", "?channels=orders,trades,books&after=4999", "?batch=true")


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[ApiProcess]:
    with api_process(tmp_path, database_url) as api:
        yield api


def append(store: PostgresEventStore, events: int) -> None:
    for start in range(0, events, 500):
        store.append([unit() for _ in range(start, min(start + 500, events))])


@contextmanager
def who_does_not_read(api: ApiProcess, path: str) -> Iterator[socket.socket]:
    """A client that reads nothing behind the first bytes of the answer."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    headers = {"Host": "localhost", **(upgrade if path.startswith("/ws") else {})}
    with socket.create_connection(api.address) as client:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        client.sendall("\r\n".join(lines).encode())
        assert client.recv(12).startswith(b"HTTP/1.1 ")
        yield client


def connected(api: ApiProcess, client: socket.socket) -> bool:
    mine = client.getsockname()
    return any(one.raddr == mine and one.status == "ESTABLISHED" for one in api.worker.net_connections())


def files_that_are_no_sockets(api: ApiProcess) -> int:
    files = [str(path.readlink()) for path in Path(f"/proc/{api.worker.pid}/fd").iterdir()]
    return sum(not name.startswith("socket:") for name in files)


def opened(stack: ExitStack, api: ApiProcess, query: str = "") -> ClientConnection:
    url = api.url.replace("http", "ws")
    return stack.enter_context(connect(f"{url}/ws{query}", proxy=None, close_timeout=1, max_queue=None))


def goodbye(client: ClientConnection) -> tuple[int | None, str]:
    """The code and reason with which the service closed it."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=10)
    return client.close_code, client.close_reason or ""


def heard_at_last(client: socket.socket) -> tuple[int, int]:
    """Of one that reads again after it was ended: the last position that it was told, and that of the goodbye."""
    client.settimeout(10)
    received = bytearray()
    while chunk := client.recv(65536):
        received += chunk
    told, goodbye_to, after = received.rpartition(b"too slow: resume with after=")
    assert goodbye_to, received[-200:]
    assert told.endswith((b"\x11\x38", b'"code":4408,"reason":"'))
    numbers = re.compile(rb"\d+").match(after)
    assert numbers
    return int(re.findall(rb'"position":(\d+)[,}]', told)[-1]), int(numbers[0])


@pytest.mark.parametrize(("number", "whole_group"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_every_client_hears_that_the_service_restarts_and_where_to_resume(
    api: ApiProcess, database_url: str, number: signal.Signals, whole_group: bool
) -> None:
    store = PostgresEventStore(database_url)
    with ExitStack() as stack:
        for way in ("/ws", "/events"):
            stack.enter_context(who_does_not_read(api, f"{way}?after=0"))
        append(store, 5_000)
        store.close()
        clients = [opened(stack, api, WAYS[n % len(WAYS)]) for n in range(50)]
        assert all(client.ping().wait(10) for client in clients)
        assert os.getpgid(api.worker.pid) != api.process.pid  # Ctrl-C reaches the server alone
        began_at = time.monotonic()
        code = api.stop(number, whole_group=whole_group)
        assert time.monotonic() - began_at < 5
        goodbyes = [goodbye(client) for client in clients]
    assert code == 0
    assert {said[0] for said in goodbyes} == {1012}
    assert all(re.fullmatch(r"the service restarts: resume with after=[1-9][0-9]*", said[1]) for said in goodbyes), (
        goodbyes
    )


def test_who_does_not_read_is_ended_within_ten_seconds_and_hears_so_later_and_costs_the_others_nothing(
    api: ApiProcess, database_url: str
) -> None:
    store, count = PostgresEventStore(database_url), 9_000
    with ExitStack() as stack:
        ways = ("/ws", "/ws?batch=true", "/ws?after=0", "/events", "/events?after=0")
        files = files_that_are_no_sockets(api)
        stuck = [stack.enter_context(who_does_not_read(api, way)) for way in ways]
        good = opened(stack, api, "?after=0")
        assert json.loads(good.recv(timeout=10)) == {"type": "caught_up", "position": 0}
        assert all(connected(api, one) for one in stuck)
        append(store, count)
        wait_until(lambda: not any(connected(api, one) for one in stuck), within_s=10, what="the end of all")
        positions = [json.loads(good.recv(timeout=5))["position"] for _ in range(count)]
        assert positions == list(range(1, count + 1))
        wait_until(lambda: files_that_are_no_sockets(api) <= files, within_s=5, what="the last look's files")
        for one in stuck:
            last, resume_after = heard_at_last(one)
            assert last == resume_after
    store.close()
