"""A place_order that takes a tenth of a second for each unit of the order's quantity, and notes when it began.

It plugs in by import path, in a process of its own: EXCHANGE=tests.support.slow_exchange:place_order.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

BEGUN_FILE = "BEGUN_FILE"
SECONDS_PER_UNIT = 0.1


def place_order(order: Any) -> None:
    file = os.open(os.environ[BEGUN_FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{order.id_} {time.monotonic()}\n".encode())  # one write: lines of several threads do not mix
    finally:
        os.close(file)
    threading.Event().wait(order.quantity * SECONDS_PER_UNIT)


def begun(file: Path) -> list[tuple[UUID, float]]:
    """The calls in their order, and when each began on the monotonic clock, which all processes share."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [(UUID(order_id), float(at)) for order_id, at in (line.split() for line in lines)]
