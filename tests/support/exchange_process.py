"""A simulated exchange in a process of its own, as it runs in the product."""

from __future__ import annotations

import sys
from pathlib import Path

from simulated_exchange.entries import Entry
from simulated_exchange.journal import FILE_NAME, read_journal
from tests.support.child_process import ChildProcess
from tests.support.exchange_client import ExchangeClient

READY = "The simulated exchange listens on "


class ExchangeProcess(ChildProcess):
    """Starts with the first `start`; the same folder again after `kill` or `stop`."""

    def __init__(self, folder: Path, *options: str, fill_delay: str = "60", address: str | None = None) -> None:
        self.folder = folder
        self.address = ""
        command = [sys.executable, "-m", "simulated_exchange", "--data-dir", str(folder), "--fill-delay", fill_delay]
        where = ["--address", address] if address is not None else []
        super().__init__([*command, *options, *where], folder.with_suffix(".stderr"), ready=READY)

    def started(self, said: str) -> None:
        self.address = said

    def client(self) -> ExchangeClient:
        return ExchangeClient(self.address)

    def journal(self) -> list[Entry]:
        return list(read_journal(self.folder / FILE_NAME))
