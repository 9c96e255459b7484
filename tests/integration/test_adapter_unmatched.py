"""Reports that come before their order: kept, and counted once when it appears. On a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from exchange_adapter import rematching
from exchange_adapter.venue import ReportKind, ReportPosition, ReportStream
from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.events import ReportUnmatched
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, Delivery, Phase
from orders.eventstore.port import Recorded, Unit, UnknownEvent
from tests.support.adapter_floor import FULL, ScriptedVenue
from tests.support.report_reading import Journal
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class ReportingVenue(ScriptedVenue):
    """Has orders of its own: those of another database."""

    capabilities: ClassVar[Capabilities] = FULL

    def __init__(self) -> None:
        super().__init__(FULL, lambda: 0.0)
        self.journal = Journal(pause_s=0.05)

    def reports(self, after: ReportPosition) -> ReportStream:
        return self.journal.stream(after)


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with client_of(database_url, FULL) as client:
        yield client


@pytest.fixture
def journal(database_url: str) -> Iterator[Journal]:
    """Of a venue whose reports an adapter reads."""
    venue = ReportingVenue()
    with running_adapter(database_url, venue, name="reporting"):
        yield venue.journal


def noted(database_url: str, order_id: UUID | None = None) -> int:
    """Of all orders, or of one."""
    with psycopg.connect(database_url) as connection:
        counted = "select count(*) from adapter_unmatched_reports where order_id = coalesce(%s, order_id)"
        (rows,) = connection.execute(counted, (order_id,)).fetchone() or (0,)
    return int(rows)


def place_again(client: Client, order_id: UUID) -> None:
    """As a client does after a restore: the same key makes the same id."""
    (model,) = client.place(quantity=30)
    placed = client.order(model)
    command = c.PlaceOrder(
        order_id=order_id, command_id=uuid4(), at=placed.created_at, by="local", account="local", terms=placed.placed
    )
    client.store.append([Unit(order_id, 0, tuple(decide(None, command, Rules())))])


def test_fills_that_came_before_their_order_count_once_when_it_appears(
    database_url: str, client: Client, journal: Journal
) -> None:
    early, never = uuid4(), uuid4()
    journal.fill(early, 10)
    journal.fill(never, 7)
    journal.fill(early, 5)
    journal.tell(ReportKind.FILLED, early)  # without what makes a fill: it leaves the table too
    journal.fill("not one of ours", 1)
    wait_until(lambda: noted(database_url) == 4)
    place_again(client, early)
    client.wait_for([early], lambda order: order.filled == 15)
    wait_until(lambda: noted(database_url) == 1, what="only the order that never comes is waited for")
    journal.reports.append(journal.reports[0])
    journal.fill(early, 15)
    client.wait_for([early], lambda order: order.phase is Phase.FILLED)
    assert client.order(early).filled == 30
    assert client.history(early).count("OrderExecuted") == 3
    assert client.order(early).delivery is Delivery.ACKED


def test_a_report_whose_order_appeared_before_it_was_noted_is_matched(
    database_url: str, client: Client, journal: Journal
) -> None:
    """As where the order is placed between the look for it and the append of the report."""
    (known,) = client.place(quantity=30)
    client.wait_for([known], lambda order: order.delivery is Delivery.ACKED)
    journal.fill(known, 4)
    client.wait_for([known], lambda order: order.filled == 4)
    late = ReportUnmatched(
        event_id=uuid4(),
        at=client.order(known).updated_at,
        by="exchange adapter",
        venue="reporting",
        report_key="another/1",
        order_ref=str(known),
        report={},
        read={"seq": 1, "kind": "filled", "order_ref": str(known), "exec_id": "X", "quantity": 6, "price": "1.10"},
    )
    client.store.append([Unit(uuid4(), 0, (late,))])
    client.wait_for([known], lambda order: order.filled == 10)
    wait_until(lambda: noted(database_url) == 0)


def test_no_more_wait_than_the_bound_and_the_newest_stay(
    database_url: str, client: Client, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rematching, "MAX_UNMATCHED_NOTED", 2)
    strangers = [uuid4() for _ in range(4)]
    for stranger in strangers:
        journal.fill(stranger)
    wait_until(lambda: client.store.head() >= 4 and noted(database_url) == 2)
    late = uuid4()
    journal.fill(late, 30)
    wait_until(lambda: noted(database_url, late) == 1)
    place_again(client, late)
    client.wait_for([late], lambda order: order.phase is Phase.FILLED)
    wait_until(lambda: noted(database_url) < 2, what="the matched one has left")


def unmatched(position: int, venue: str, order_id: UUID) -> Recorded:
    key = str(position)
    read = {"seq": position, "kind": "accepted", "order_ref": str(order_id)}
    event = ReportUnmatched(
        event_id=uuid4(), at=NOW, by="test", venue=venue, report_key=key, order_ref=str(order_id), report={}, read=read
    )
    return Recorded(position, uuid4(), 1, event)


def test_only_what_waits_leaves_and_each_venue_has_its_own_bound(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rematching, "MAX_UNMATCHED_NOTED", 2)
    ours, unreadable = uuid4(), uuid4()

    def exists(order_id: UUID) -> bool:
        if order_id == unreadable:
            raise UnknownEvent("OrderPlaced.v9")
        return order_id == ours

    def rows(connection: psycopg.Connection[Any]) -> list[int]:
        found = connection.execute("select position from adapter_unmatched_reports order by position")
        return [position for (position,) in found]

    with psycopg.connect(database_url) as connection, connection.cursor() as cursor, capture_logs() as logs:
        rematching.note_unmatched(cursor, [unmatched(1, "a", ours), unmatched(2, "a", unreadable)], exists)
        rematching.note_unmatched(cursor, [unmatched(number, "a", uuid4()) for number in (3, 4)], exists)
        rematching.note_unmatched(cursor, [unmatched(number, "b", uuid4()) for number in (5, 6)], exists)
        assert (rows(connection), logs) == ([1, 2, 3, 4, 5, 6], [])
        rematching.note_unmatched(cursor, [unmatched(7, "a", uuid4())], exists)
        assert rows(connection) == [1, 2, 4, 5, 6, 7]
        assert [(line["log_level"], line["venue"], line["reports"]) for line in logs] == [("warning", "a", 1)]
