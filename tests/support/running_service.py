"""The whole service as a user runs it: `orders up` in a folder of its own, on a free port of this machine. Or one that
runs already, wherever it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from order_service.configuration.settings import load_settings
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
STOP_S = 10.0  # the contract's bound
EXECUTED_S = 20.0
FIRST_PORT, PORTS_OF_WORKER, WORKERS, RUNS = 12_000, 600, 4, 8  # up to 31,200: from 32,768 on the kernel hands them out
PORTS_OF_RUN = WORKERS * PORTS_OF_WORKER


class ServiceAtUrl:
    """What its clients can do with a service that runs. `api_key`: for one that serves nobody without."""

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url
        self.credentials = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.http = httpx.Client(base_url=url, timeout=20, trust_env=False, headers=self.credentials)

    def place(self, **terms: Any) -> dict[str, Any]:
        answer = self.http.post("/orders", json={"symbol": "EURUSD", "quantity": 10, **terms})
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def order(self, order_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def wait_for(self, order_id: str, **fields: Any) -> dict[str, Any]:
        """The order as soon as its fields have these values."""

        def there() -> dict[str, Any] | None:
            order = self.order(order_id)
            return order if all(order[name] == value for name, value in fields.items()) else None

        return wait_until(there, within_s=EXECUTED_S, what=f"{order_id} with {fields}") or {}

    def all_orders(self) -> list[dict[str, Any]]:
        """Every order, page by page."""
        orders: list[dict[str, Any]] = []
        path: str | None = "/orders"
        while path is not None:
            page = self.http.get(path)
            assert page.status_code == 200, page.text
            orders += page.json()
            path = page.links["next"]["url"] if "next" in page.links else None
        return orders

    @contextmanager
    def socket(self, query: str = "") -> Iterator[ClientConnection]:
        url = self.url.replace("http", "ws", 1) + "/ws" + query
        with connect(url, proxy=None, open_timeout=10, additional_headers=self.credentials) as connection:
            yield connection


class RunningService(ServiceAtUrl):
    """`orders up`, started and stopped as often as a test likes; the data stays."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(f"http://127.0.0.1:{free_port()}")
        self.folder = folder
        self.log = folder / "service.log"
        self.environment = {
            **os.environ,
            "BASE_URL": self.url,
            "ORDERS_DATA_DIR": str(folder / "data"),
            "EXCHANGE_FILL_DELAY": "0.2-0.4",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "order_service", "up"]
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        wait_until(self.is_ready, within_s=READY_S, what=f"the service; its log: {self.log}")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"orders up ended: {self.tail()}"
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code; fails where it takes longer than the contract allows."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def processes(self) -> list[psutil.Process]:
        """The supervisor and all below it."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def part(self, name: str) -> psutil.Process:
        """The process of one part: api, projector, adapter, exchange."""
        for process in self.processes():
            if process.cmdline()[-1:] == [name]:
                return process
        raise LookupError(name)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def close(self) -> None:
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                for process in self.processes():
                    process.kill()
                self.process.wait()


@contextmanager
def running_service(**settings: str) -> Iterator[RunningService]:
    """A service that runs; its folder can be read by the account that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="orders-"))
    folder.chmod(0o755)
    service = RunningService(folder, **settings)
    try:
        service.start()
        yield service
    finally:
        service.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def service_to_ask(config: pytest.Config, **settings: str) -> Iterator[ServiceAtUrl]:
    """The one at BASE_URL with --at-base-url, else one that runs for these tests, with these settings."""
    if not config.getoption("--at-base-url"):
        with running_service(**settings) as running:
            yield running
        return
    given = load_settings()
    service = ServiceAtUrl(given.base_url, given.access.api_key)
    yield service
    service.http.close()


def free_port() -> int:
    """One that nobody listens on, and that nobody else is given while the one who asked starts: below the ports that
    the kernel hands out, from a block of this process's own, each in its turn."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports never end")


def _own_ports() -> Iterator[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + PORTS_OF_RUN * (os.getppid() % RUNS) + PORTS_OF_WORKER * (worker % WORKERS)
    return cycle(range(first, first + PORTS_OF_WORKER))


_PORTS = _own_ports()


def receive(connection: ClientConnection, count: int, *, within_s: float = EXECUTED_S) -> list[dict[str, Any]]:
    """The next messages of a feed."""
    return [json.loads(connection.recv(timeout=within_s)) for _ in range(count)]
