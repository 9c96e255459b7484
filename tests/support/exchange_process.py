"""A simulated exchange in a process of its own, as it runs in the product."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from simulated_exchange.entries import Entry
from simulated_exchange.journal import FILE_NAME, read_journal
from tests.support.exchange_client import ExchangeClient

STOP_WITHIN_S = 10.0
READY = "The simulated exchange listens on "


class ExchangeProcess:
    """Starts with the first `start`; the same folder again after `kill` or `stop`. Ended when the block ends."""

    def __init__(self, folder: Path, *options: str, fill_delay: str = "60", address: str | None = None) -> None:
        self.folder = folder
        self.address = ""
        self._stderr = folder.with_suffix(".stderr")
        self._arguments = ["--data-dir", str(folder), "--fill-delay", fill_delay, *options]
        if address is not None:
            self._arguments += ["--address", address]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ExchangeProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Returns when it listens."""
        with self._stderr.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "simulated_exchange", *self._arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        self._process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(READY), f"it did not start: {line!r}; {self.stderr()}"
        self.address = line.removeprefix(READY).strip()

    def stderr(self) -> str:
        return self._stderr.read_text()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        return self._end(number)

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(number)
        code = self._process.wait(STOP_WITHIN_S)
        self._process.stdout.close()
        self._process = None
        return code

    def client(self) -> ExchangeClient:
        return ExchangeClient(self.address)

    def journal(self) -> list[Entry]:
        return list(read_journal(self.folder / FILE_NAME))
