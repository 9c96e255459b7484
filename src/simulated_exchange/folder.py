"""The data folder belongs to one exchange at a time: a lock that the kernel drops when its process dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulated_exchange.bounds import LOCK_WAIT_S
from simulated_exchange.errors import FolderInUse, JournalUnwritable

LOCK_NAME = "exchange.lock"
_POLL_S = 0.05


@contextmanager
def locked_folder(folder: Path, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """Makes the folder if need be and holds it. FolderInUse after waiting for a predecessor to be gone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise JournalUnwritable(f"the data folder {folder} cannot be used: {error.strerror}") from error
    try:
        _lock(descriptor, folder, time.monotonic() + wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
                raise FolderInUse(
                    f"another exchange (pid {holder}) has the data folder {folder}: stop it, or choose another folder"
                ) from None
            time.sleep(_POLL_S)
