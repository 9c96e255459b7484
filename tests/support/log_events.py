"""Events and units to append, where their content does not matter."""

from datetime import UTC, datetime
from threading import Event
from uuid import UUID, uuid4

from orders.domain.events import OrderPlaced
from orders.domain.values import OrderView
from orders.eventstore.port import EventStore, Recorded, Unit
from orders.eventstore.subscription import Hints

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


def placed(quantity: int = 10, *, client_order_id: str | None = None) -> OrderPlaced:
    after = OrderView(account="local", symbol="EURUSD", quantity=quantity, client_order_id=client_order_id)
    return OrderPlaced(event_id=uuid4(), at=AT, by="local", after=after)


def unit(stream_id: UUID | None = None, *, expected_version: int = 0, events: int = 1) -> Unit:
    """A unit of so many new events; of a new stream, if none is given."""
    return Unit(stream_id or uuid4(), expected_version, tuple(placed(n) for n in range(1, events + 1)))


def large_unit(size_bytes: int) -> Unit:
    """One event of at least that size."""
    return Unit(uuid4(), 0, (placed(client_order_id="x" * size_bytes),))


class WatchedHints:
    """Hints that say when someone waits for them."""

    def __init__(self, hints: Hints) -> None:
        self.waited_for = Event()
        self._hints = hints

    def wait(self, seen: int, timeout_s: float) -> int:
        self.waited_for.set()
        return self._hints.wait(seen, timeout_s)

    def close(self) -> None:
        self._hints.close()


def whole_log(store: EventStore) -> list[Recorded]:
    return store.read_log(after=0, limit=1_000_000)
