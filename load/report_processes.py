"""The processes of a run of reports, as the product runs them: the simulated exchange and the adapter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from load.servers import STOP_S, ServerFailed

LISTENS = "The simulated exchange listens on "


@contextmanager
def running_exchange(folder: Path) -> Iterator[Path]:
    """Its socket. It reads its whole journal before it listens."""
    address = folder.parent / "exchange.sock"
    command = [sys.executable, "-m", "simulated_exchange", "--data-dir", str(folder), "--address", str(address)]
    with _running(command, folder.parent / "exchange.log", {}) as process:
        assert process.stdout is not None
        if not process.stdout.readline().startswith(LISTENS.encode()):
            raise ServerFailed(f"the exchange does not listen: {_end_of(folder.parent / 'exchange.log')}")
        yield address


@contextmanager
def running_adapter(folder: Path, database_url: str, address: Path) -> Iterator[int]:
    """Its process id."""
    settings = {
        "DATABASE_URL": database_url,
        "ORDERS_DATA_DIR": str(folder),
        "EXCHANGE": "simulated",
        "EXCHANGE_ADDRESS": str(address),
    }
    with _running([sys.executable, "-m", "order_service", "adapter"], folder / "adapter.log", settings) as process:
        try:
            yield process.pid
        except ServerFailed as error:
            raise ServerFailed(f"{error}; the adapter says: {_end_of(folder / 'adapter.log')}") from error


@contextmanager
def _running(command: Sequence[str], log: Path, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
