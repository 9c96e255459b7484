"""The exchange adapter as the product runs it, in a thread of the test, and orders for it to work on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7 as new_id

from exchange_adapter.adapter import run_adapter
from exchange_adapter.config import AdapterConfig
from exchange_adapter.policy import Limits
from exchange_adapter.venue import Venue
from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.events import OrderEvent
from orders.domain.instruments import BUILT_IN
from orders.domain.order import Order, fold
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, OrderType
from orders.eventstore.port import Appended, EventStore, Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from tests.support.waiting import WITHIN_S, wait_until


def _utc() -> datetime:
    return datetime.now(UTC)


ALL = Capabilities(cancels=True, replaces=True)


class Client:
    """Places, cancels and replaces orders on the log, as the API does, and looks at them."""

    def __init__(self, store: EventStore, venue: Capabilities = ALL, utc: Callable[[], datetime] = _utc) -> None:
        self.store = store
        self._rules = Rules(venue=venue)
        self._utc = utc

    def place(self, count: int = 1, **terms: Any) -> list[UUID]:
        """So many market orders, or limit orders where a price is given."""
        if "limit_price" in terms:
            terms = {**terms, "type": OrderType.LIMIT, "limit_price": Decimal(terms["limit_price"])}
        order_ids = [new_id() for _ in range(count)]
        placing = [
            c.PlaceOrder(
                order_id=order_id,
                command_id=new_id(),
                at=self._utc(),
                by="local",
                account="local",
                terms=c.Terms(**{"symbol": "EURUSD", "quantity": 10, **terms}),
            )
            for order_id in order_ids
        ]
        units = [Unit(command.order_id, 0, tuple(decide(None, command, self._rules))) for command in placing]
        for start in range(0, count, 200):
            assert all(isinstance(answer, Appended) for answer in self.store.append(units[start : start + 200]))
        return order_ids

    def cancel(self, order_id: UUID) -> None:
        self.give(c.CancelOrder(order_id=order_id, command_id=new_id(), at=self._utc(), by="local"))

    def replace(self, order_id: UUID, **terms: Any) -> None:
        given = {"order_id": order_id, "command_id": new_id(), "at": self._utc(), "by": "local", **terms}
        self.give(c.ReplaceOrder(**given))

    def order(self, order_id: UUID) -> Order:
        order = fold(order_id, self._events(order_id))
        assert order is not None
        return order

    def history(self, order_id: UUID) -> list[str]:
        return [type(event).__name__ for event in self._events(order_id)]

    def wait_for(
        self, order_ids: Sequence[UUID], what: Callable[[Order], object], *, within_s: float = WITHIN_S
    ) -> None:
        """Until it is true of all."""
        left = list(order_ids)

        def all_so() -> bool:
            left[:] = [order_id for order_id in left if not what(self.order(order_id))]
            return not left

        wait_until(all_so, within_s=within_s, what=f"{len(order_ids)} orders")

    def _events(self, order_id: UUID) -> list[OrderEvent]:
        return [r.event for r in self.store.read_stream(order_id) if isinstance(r.event, OrderEvent)]

    def give(self, command: c.Command) -> None:
        """Raises Refusal."""
        while True:
            order = self.order(command.order_id)
            events = decide(order, command, self._rules)
            if not events or isinstance(self.store.append([Unit(order.id, order.version, tuple(events))])[0], Appended):
                return


@contextmanager
def client_of(database_url: str, venue: Capabilities = ALL) -> Iterator[Client]:
    store = PostgresEventStore(database_url, application_name="test client")
    try:
        yield Client(store, venue)
    finally:
        store.close()


@contextmanager
def running_adapter(
    database_url: str,
    venue: Venue,
    *,
    name: str = "simulated",
    amqp_url: str = "",
    webhook: str = "",
    alert_pause_s: float = 60.0,
    **limits: Any,
) -> Iterator[list[int]]:
    """The list has the exit code afterwards."""
    stop, codes = threading.Event(), list[int]()
    store = PostgresEventStore(database_url, application_name="test adapter")
    hints = PostgresHints(database_url)
    config = AdapterConfig(
        database_url=database_url,
        direct_url=database_url,
        amqp_url=amqp_url,
        venue_name=name,
        catalogue=BUILT_IN,
        new_id=new_id,
        limits=Limits(**limits),
        alert_webhook_url=webhook,
        alert_pause_s=alert_pause_s,
    )
    thread = threading.Thread(
        target=lambda: codes.append(run_adapter(config, store=store, hints=hints, venue=venue, stop=stop))
    )
    thread.start()
    try:
        yield codes
    finally:
        stop.set()
        thread.join(20)
        hints.close()
        store.close()
        assert codes, "the adapter did not stop"
