"""The logged exchange, whose answer takes its time, too: a kill meets some calls after they placed their order.

It plugs in by import path: EXCHANGE=tests.campaigns.slow_answer:place_order.
"""

from __future__ import annotations

import threading
from typing import Any

from tests.support import logged_exchange
from tests.support.logged_exchange import OrderPlacementError

__all__ = ["OrderPlacementError", "place_order"]

ANSWER_S = 0.3


def place_order(order: Any) -> None:
    logged_exchange.place_order(order)
    threading.Event().wait(ANSWER_S)
