"""SIGTERM while clients trade and listen: all is down in ten seconds, and nothing that was accepted is lost."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from threading import Event, Thread

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.support.processes import has_ended
from tests.support.running_service import STOP_S, RunningService, running_service
from tests.support.waiting import wait_until

SOCKETS = 50
CLIENTS = 20
BEFORE = 100  # orders, so that requests are in flight and calls to the exchange under way


@pytest.fixture
def service() -> Iterator[RunningService]:
    with running_service() as running:
        yield running


class Clients:
    """Threads that place orders until the service no longer answers; `accepted` has the id of each 201."""

    def __init__(self, service: RunningService) -> None:
        self.accepted: list[str] = []
        self._url = service.url
        self._stopped = Event()
        self._threads = [Thread(target=self._place, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _place(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=20, trust_env=False) as http, suppress(httpx.TransportError):
            while not self._stopped.is_set():
                answer = http.post("/orders", json={"symbol": "EURUSD", "quantity": 10 + number})
                if answer.status_code == 201:
                    self.accepted.append(answer.json()["id"])


def goodbye(client: ClientConnection) -> tuple[int | None, str]:
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=10)
    return client.close_code, client.close_reason or ""


def test_nothing_accepted_is_lost_and_every_socket_hears_where_to_resume(service: RunningService) -> None:
    everyone = service.processes()
    with ExitStack() as stack:
        ways = ("", "?after=0", "?batch=true&after=0", "?channels=orders,trades,books&after=0", "?symbol=EURUSD")
        sockets = [stack.enter_context(service.socket(ways[number % len(ways)])) for number in range(SOCKETS)]
        clients = Clients(service)
        stack.callback(clients.stop)
        wait_until(lambda: len(clients.accepted) >= BEFORE, what="some orders")
        began = time.monotonic()
        assert service.stop(signal.SIGTERM) == 0
        took_s = time.monotonic() - began
        clients.stop()
        goodbyes = [goodbye(socket) for socket in sockets]
    assert took_s < STOP_S
    assert [one.pid for one in everyone if not has_ended(one.pid)] == []
    assert {code for code, _ in goodbyes} == {1012}
    assert all(re.fullmatch(r"the service restarts: resume with after=[0-9]+", reason) for _, reason in goodbyes)
    service.start()
    assert len(set(clients.accepted)) == len(clients.accepted)
    assert set(clients.accepted) <= {order["id"] for order in service.all_orders()}
    for order_id in clients.accepted:
        service.wait_for(order_id, status="Executed")
