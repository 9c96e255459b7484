"""A venue in the test's own process that can do everything but report, and keeps a record of every call."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection
from typing import ClassVar
from uuid import UUID

from exchange_adapter.venue import (
    CancelRequest,
    Done,
    NotFound,
    NotSent,
    Placed,
    QueryOutcome,
    ReplaceRequest,
    ReportPosition,
    ReportStream,
    RequestOutcome,
    SubmitOutcome,
    Unknown,
    VenueOrder,
)
from orders.domain.values import Capabilities

FAILS, HANGS = 13, 14


class RecordingVenue:
    """`calls` names the methods that were called for each order, in order. `takes_s`: each call.

    An order whose quantity is FAILS is surely not sent, one of HANGS is in doubt: it can be asked about, and stays so.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        deduplicates=False, queries=True, cancels=True, replaces=True, repeats_answers=True
    )

    def __init__(self, takes_s: float = 0.0) -> None:
        self.calls: defaultdict[UUID, list[str]] = defaultdict(list)
        self.takes_s = takes_s
        self._lock = threading.Lock()

    def submit(self, order: VenueOrder) -> SubmitOutcome:
        self._called("submit", order.order_id)
        if order.quantity == FAILS:
            return NotSent("not now")
        return Unknown("no answer") if order.quantity == HANGS else Placed(f"V-{order.order_id}")

    def cancel(self, request: CancelRequest) -> RequestOutcome:
        self._called("cancel", request.order_id)
        return Done()

    def replace(self, request: ReplaceRequest) -> RequestOutcome:
        self._called("replace", request.order_id)
        return Done(request.quantity, request.limit_price)

    def query(self, order_id: UUID) -> QueryOutcome:
        return NotFound()

    def reports(self, after: ReportPosition) -> ReportStream:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def submits(self, order_ids: Collection[UUID]) -> list[int]:
        """How often each was submitted."""
        return [self.calls[order_id].count("submit") for order_id in order_ids]

    def _called(self, method: str, order_id: UUID) -> None:
        with self._lock:
            self.calls[order_id].append(method)
        if self.takes_s:
            threading.Event().wait(self.takes_s)
