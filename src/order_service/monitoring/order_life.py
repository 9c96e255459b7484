"""The orders' way through the service in /metrics, as the log tells it.

Every API process follows the whole log for its feed, so each counts every order of the service, from its own start on,
whoever accepted or placed it. Among several API processes these figures are to be compared, never summed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from order_service.bounds import FILL_SECONDS, MOST_UNPLACED, PLACE_SECONDS
from order_service.monitoring.metric_families import counter, counters, histogram
from orders.distribution import Distribution
from orders.domain import events as e
from orders.domain.values import Delivery, Status
from orders.eventstore.port import Recorded

STAGES = ("accepted", "placed", "in_doubt", "parked", "resumed", "executed", "canceled", "rejected", "expired")
"""`placed`: the exchange is known to have it. An order can be in doubt, parked and executed (after a bust) again."""

_STAGE: dict[type[e.OrderEvent], str] = {
    e.OrderPlaced: "accepted",
    e.SubmitInDoubt: "in_doubt",
    e.PlacementParked: "parked",
    e.PlacementResumed: "resumed",
    e.OrderCanceled: "canceled",
    e.OrderRejected: "rejected",
    e.OrderExpired: "expired",
}
_COMPLETING = (e.OrderExecuted, e.ExecutionCorrected, e.OrderReplaced, e.ReplaceRejected)


class OrderLife(Collector):
    """`see` takes the log batch by batch, on the event loop; a microsecond an event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._stages = dict.fromkeys(STAGES, 0)
        self._fills = 0
        self._to_place = Distribution(PLACE_SECONDS)
        self._to_fill = Distribution(FILL_SECONDS)
        # Orders that the exchange is not known to have. Its word may come as an acceptance, a fill or an operator's
        # answer, and twice; only the first makes an order placed.
        # A plain dict would look through all that has left it for the oldest one.
        self._unplaced: OrderedDict[UUID, None] = OrderedDict()
        self._completed: tuple[UUID, datetime] | None = None
        registry.register(self)

    def see(self, batch: list[Recorded]) -> None:
        for recorded in batch:
            event = recorded.event
            if isinstance(event, e.OrderEvent):
                self._see(recorded.stream_id, event)

    def _see(self, order_id: UUID, event: e.OrderEvent) -> None:
        stage = _STAGE.get(type(event))
        if stage is not None:
            self._stages[stage] += 1
        if event.after.delivery is not Delivery.ACKED:
            self._wait(order_id, event)
        elif order_id in self._unplaced:
            del self._unplaced[order_id]
            if not isinstance(event, e.OrderRejected):
                self._stages["placed"] += 1
                self._to_place.observe(_age_s(event))
        if isinstance(event, _COMPLETING):
            self._complete(order_id, event)

    def _wait(self, order_id: UUID, event: e.OrderEvent) -> None:
        if event.after.status is not Status.PLACED:
            self._unplaced.pop(order_id, None)
            return
        self._unplaced[order_id] = None
        self._unplaced.move_to_end(order_id)  # adapters send the oldest first: those in flight must not go first, too
        if len(self._unplaced) > MOST_UNPLACED:  # its next attempt brings it back
            self._unplaced.popitem(last=False)

    def _complete(self, order_id: UUID, event: e.OrderEvent) -> None:
        """A fill may come with the end of a replace, at the same time: they complete the order once."""
        self._fills += isinstance(event, e.OrderExecuted)
        at = event.after.executed_at
        if event.after.status is Status.EXECUTED and at == event.at and self._completed != (order_id, at):
            self._completed = (order_id, at)
            self._stages["executed"] += 1
            self._to_fill.observe(_age_s(event))

    def collect(self) -> Iterator[Metric]:
        stages = [((stage,), count) for stage, count in self._stages.items()]
        yield counters("orders_life_total", "Orders by what became of them", ("stage",), stages)
        yield counter("orders_fills_total", "Executions that the exchange told of", self._fills)
        text = "From the acceptance of an order until the exchange is known to have it"
        yield histogram("orders_time_to_place_seconds", text, PLACE_SECONDS, self._to_place.observed())
        text = "From the acceptance of an order until it is filled"
        yield histogram("orders_time_to_fill_seconds", text, FILL_SECONDS, self._to_fill.observed())


def _age_s(event: e.OrderEvent) -> float:
    """By the clocks of whoever accepted it and whoever recorded this; never negative."""
    created_at = event.after.created_at or event.at
    return max(0.0, (event.at - created_at).total_seconds())
