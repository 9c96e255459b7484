"""What one adapter process is told."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from msgspec import Struct

from exchange_adapter.bounds import ALERT_PAUSE_S, CALL_THREADS, STOP_WAIT_S
from exchange_adapter.policy import Limits
from orders.domain.instruments import Catalogue


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """`direct_url` reaches PostgreSQL without a pooler: locks need a session. `amqp_url` names the RabbitMQ that tells
    of work; empty: the log itself does. `venue_name` keeps the positions and the stream of several venues apart; it is
    stored. `new_id` makes time-ordered ids (UUIDv7). `max_calls` are in flight at most in this process, `calls_per_s`
    begin in all adapters of the venue together (None: no limit); `resends_in_doubt` is the operator's choice for a
    venue that leaves no other. A kind of alert is told of once in `alert_pause_s` at most, by the webhook too where its
    URL is not empty. `drain_s`: for calls at a stop."""

    database_url: str
    direct_url: str
    amqp_url: str = ""
    venue_name: str
    catalogue: Catalogue
    new_id: Callable[[], UUID]
    limits: Limits = Limits()
    max_calls: int = CALL_THREADS
    calls_per_s: float | None = None
    resends_in_doubt: bool = False
    alert_webhook_url: str = ""
    alert_pause_s: float = ALERT_PAUSE_S
    drain_s: float = STOP_WAIT_S
