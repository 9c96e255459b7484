"""The projections that the projector keeps; each has its own checkpoint, and a failing one stops alone."""

from __future__ import annotations

from projections.order_status import ORDER_STATUS
from projections.projection import Projection
from projections.trades import TRADES

PROJECTIONS: tuple[Projection, ...] = (ORDER_STATUS, TRADES)
