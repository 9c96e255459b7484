"""A stock exchange as a plain blocking function, the simplest thing that plugs in:

    EXCHANGE=examples.stock_exchange:place_order make run

It is slow, fails one call in ten before anything is sent, and offers no id, no query and no reports.
"""

import random
import time
from typing import Any


class OrderPlacementError(Exception):
    """Nothing was sent to the exchange."""


def place_order(order: Any) -> None:
    """Places the order at the exchange; returns when it is placed.

    Raises: OrderPlacementError where the exchange could not be reached.
    """
    if not order:
        raise ValueError("order is required")
    if random.random() >= 0.9:
        raise OrderPlacementError("Failed to place order at stock exchange. Connection not available")
    time.sleep(0.5)
