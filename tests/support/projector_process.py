"""`orders projector`, or `orders relay`, over a database, to be killed and started again."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from order_service.postgres import service_url
from order_service.processes.supervisor import READY_FD

STOP_S = 10.0  # the contract's bound
READY_S = 60.0  # a start takes a second


class ProjectorProcess:
    """`start` returns at once; what it says goes to `log`."""

    PART = "projector"

    def __init__(self, database_url: str, log: Path, **settings: str) -> None:
        self._settings = settings
        self._url = service_url(database_url)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = -1
        self._is_ready = False

    def start(self) -> None:
        self._is_ready = False
        self._ready, told = os.pipe()
        settings = {"DATABASE_URL": self._url, "ORDERS_DATA_DIR": str(self._log.parent), **self._settings}
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "order_service", self.PART],
                env={**os.environ, **settings, READY_FD: str(told)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[told],
            )
        os.close(told)

    @property
    def is_ready(self) -> bool:
        """Whether its tables are there and all are followed."""
        if not self._is_ready and select.select([self._ready], [], [], 0)[0]:
            self.wait_ready()
        return self._is_ready

    def wait_ready(self) -> None:
        """Until it is."""
        if not self._is_ready and select.select([self._ready], [], [], READY_S)[0]:
            self._is_ready = bool(os.read(self._ready, 16))
        assert self._is_ready, f"the {self.PART} did not start: {self._log.read_text()[-2000:]}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._ended()

    def stop(self) -> int:
        """Its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._ended()

    def _ended(self) -> int:
        assert self._process is not None
        code = self._process.wait(STOP_S)
        os.close(self._ready)
        self._process = None
        return code

    def close(self) -> None:
        if self._process is not None:
            self.kill()


class RelayProcess(ProjectorProcess):
    """Ready it is whether or not its broker is there."""

    PART = "relay"


@contextmanager
def running_projector(database_url: str, log: Path) -> Iterator[ProjectorProcess]:
    """One that is ready; stopped at the end."""
    projector = ProjectorProcess(database_url, log)
    projector.start()
    try:
        projector.wait_ready()
        yield projector
        projector.stop()
    finally:
        projector.close()
