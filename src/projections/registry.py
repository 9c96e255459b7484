"""The projections that the projector keeps; each has its own checkpoint, and a failing one stops alone."""

from __future__ import annotations

from projections.daily_summary import DAILY_SUMMARY
from projections.order_book import ORDER_BOOK
from projections.order_status import ORDER_STATUS
from projections.positions import POSITIONS
from projections.projection import Projection
from projections.trades import TRADES

PROJECTIONS: tuple[Projection, ...] = (
    ORDER_STATUS,
    ORDER_BOOK,
    TRADES,
    DAILY_SUMMARY,
    POSITIONS,
)
