"""A part of the product in a process of its own, which says when it is ready and may be killed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_WITHIN_S = 15.0


class ChildProcess:
    """`start` again after `kill` or `stop`. Ended when the block ends, and when it does not start. What it writes to
    stderr goes to `log`; ready it is when its first line of output begins with `ready`."""

    def __init__(self, command: Sequence[str], log: Path, *, ready: str) -> None:
        self._command = list(command)
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
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
        """Returns when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            assert line.startswith(self._ready), f"it did not start: {line!r}; {self.stderr()}"
        except BaseException:
            self.kill()
            raise
        self.started(line.removeprefix(self._ready).strip())

    def started(self, said: str) -> None:
        """`said`: the rest of the line."""

    def stderr(self) -> str:
        return self._log.read_text()

    def kill(self) -> int:
        """kill -9."""
        return self._end(signal.SIGKILL)

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
