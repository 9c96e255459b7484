"""The example's place_order, writing each order that it placed to the file that PLACED_FILE names.

It plugs in by import path, in a process of its own: EXCHANGE=tests.support.logged_exchange:place_order.
"""

from __future__ import annotations

import os
from typing import Any

from examples import stock_exchange
from examples.stock_exchange import OrderPlacementError

__all__ = ["OrderPlacementError", "place_order"]

PLACED_FILE = "PLACED_FILE"


def place_order(order: Any) -> None:
    stock_exchange.place_order(order)
    file = os.open(os.environ[PLACED_FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{order.id_}\n".encode())  # one write: lines of several threads do not mix
    finally:
        os.close(file)
