"""What exchange adapters are told: which orders have something new to do."""

from __future__ import annotations

from collections.abc import Callable

from event_relay.bounds import STALE_EVENTS
from orders.broker.link import Outgoing
from orders.broker.topology import encode_work, message_id, work_messages
from orders.eventstore.port import Recorded


class WorkHints:
    """The messages of a part of the log. `head()` is the log's last position; it may raise StoreUnavailable.

    A relay that was away for long is far behind. Hints of that time would only be in the way of new ones: what is still
    to be done of it stands in the table of duties, which every adapter reads.
    """

    def __init__(self, head: Callable[[], int], *, batch_events: int, stale_events: int = STALE_EVENTS) -> None:
        self._head = head
        self._batch_events = batch_events
        self._stale_events = stale_events

    def __call__(self, batch: list[Recorded]) -> list[Outgoing]:
        is_far_behind = len(batch) >= self._batch_events  # only then is it worth a look at the log's end
        if is_far_behind and self._head() - batch[-1].position > self._stale_events:
            return []
        return [
            Outgoing(routing_key=str(shard), body=encode_work(message), message_id=message_id(shard, message))
            for shard, message in work_messages(batch)
        ]
