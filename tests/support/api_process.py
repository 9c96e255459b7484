"""An API process of its own over a migrated database: `orders api`, as it runs in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from order_service.postgres import service_url
from tests.support.running_service import free_port
from tests.support.waiting import wait_until

READY_S = 30.0
STOP_S = 10.0


class ApiProcess:
    """Started in a session of its own, like a program on a terminal; on a free port, or on the given one."""

    def __init__(self, folder: Path, database_url: str, port: int | None = None, **settings: str) -> None:
        self.address = ("127.0.0.1", port or free_port())
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._log = folder / f"api-{self.address[1]}.log"
        environment = {
            **os.environ,
            "BASE_URL": self.url,
            "DATABASE_URL": service_url(database_url),
            "ORDERS_DATA_DIR": str(folder / "data"),
            **settings,
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "order_service", "api"],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_live, within_s=READY_S, what=f"the API; its log: {self._log}")

    @property
    def log(self) -> str:
        """All that its processes have written."""
        return self._log.read_text(errors="replace")

    @property
    def worker(self) -> psutil.Process:
        """The process that serves."""
        found: psutil.Process
        (found,) = (
            child
            for child in psutil.Process(self.process.pid).children()
            if "resource_tracker" not in str(child.cmdline())
        )
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM, *, whole_group: bool = False) -> int:
        """The exit code. `whole_group`: as Ctrl-C on a terminal does."""
        if whole_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()

    def _is_live(self) -> bool:
        assert self.process.poll() is None, f"orders api ended: {self._log.read_text()[-2000:]}"
        try:
            return httpx.get(f"{self.url}/health/live", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def api_process(folder: Path, database_url: str, **settings: str) -> Iterator[ApiProcess]:
    api = ApiProcess(folder, database_url, None, **settings)
    try:
        yield api
    finally:
        api.close()
