"""A lower priority for work that can wait, so that the service's own goes first on the same cores."""

from __future__ import annotations

import os
from contextlib import suppress

from order_service.bounds import BACKGROUND_NICENESS


def lower_priority() -> None:
    """Of this process. Not of its PostgreSQL process: that holds locks which the service's own wait for."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, BACKGROUND_NICENESS)
