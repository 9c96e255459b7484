"""The adapter in a process of its own, to be killed: `python -m tests.support.adapter_process URL EXCHANGE ADDRESS`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from uuid_utils.compat import uuid7

from exchange_adapter.adapter import AdapterConfig, run_adapter
from exchange_adapter.loading import load_venue
from exchange_adapter.policy import Limits
from orders.domain.instruments import BUILT_IN
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints

READY = "ready"
STOP_WITHIN_S = 15.0
CALL_TIMEOUT_S = 5.0


class AdapterProcess:
    """`start` again after `kill` or `stop`. Ended when the block ends. Its log lines go to `log`."""

    def __init__(self, database_url: str, exchange: str, address: str, log: Path) -> None:
        self._arguments = [database_url, exchange, address]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> AdapterProcess:
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
        command = [sys.executable, "-m", "tests.support.adapter_process", *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.strip() == READY, f"it did not start: {line!r}; {self._log.read_text()}"

    def kill(self) -> int:
        """kill -9."""
        return self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(how)
        code = self._process.wait(STOP_WITHIN_S)
        self._process.stdout.close()
        self._process = None
        return code


def main(database_url: str, exchange: str, address: str) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    store = PostgresEventStore(database_url, application_name="test adapter process")
    hints = PostgresHints(database_url)
    config = AdapterConfig(
        database_url=database_url,
        direct_url=database_url,
        venue_name=exchange,
        catalogue=BUILT_IN,
        new_id=uuid7,
        limits=Limits(call_timeout_s=CALL_TIMEOUT_S),
    )
    venue = load_venue(exchange, address=address, call_timeout_s=CALL_TIMEOUT_S)
    ready = lambda: print(READY, flush=True)  # noqa: E731
    try:
        return run_adapter(config, store=store, hints=hints, venue=venue, stop=stop, ready=ready)
    finally:
        hints.close()
        store.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
