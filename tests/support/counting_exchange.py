"""The example's stock exchange, with its calls written down, so that a test in another process can count them."""

import os
import threading
from pathlib import Path
from typing import Any

from examples.stock_exchange import OrderPlacementError
from examples.stock_exchange import place_order as place

__all__ = ["OrderPlacementError", "place_order"]

_lock = threading.Lock()


def place_order(order: Any) -> None:
    """Placed orders go to the file that COUNTED_CALLS names, one id a line."""
    place(order)
    with _lock, Path(os.environ["COUNTED_CALLS"]).open("a") as calls:
        calls.write(f"{order.id_}\n")
