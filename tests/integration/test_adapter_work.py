"""Duties and outages on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from uuid_utils.compat import uuid7

from exchange_adapter.alert_board import LogAlerts
from exchange_adapter.clock import Clock
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.report_position import PostgresReportPositions
from exchange_adapter.venue import ReportPosition
from exchange_adapter.work.duties import FOLLOWER, Changed, DutyFollower, Known, PostgresDuties, PostgresSentRequests
from exchange_adapter.work.duty import Duty
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery, TimeInForce
from orders.eventstore.port import Recorded, StoreUnavailable
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from orders.follower import read_checkpoint
from orders.shards import SHARDS
from tests.support.adapter_floor import FULL, PLAIN
from tests.support.postgres_proxy import PostgresProxy
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until

EVERYTHING = range(SHARDS)


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with client_of(database_url, FULL) as client:
        yield client


@contextmanager
def following(
    database_url: str, changes: list[Changed], store: PostgresEventStore | None = None, **how: int
) -> Iterator[DutyFollower]:
    hints, stop = PostgresHints(database_url), threading.Event()
    store = PostgresEventStore(database_url) if store is None else store
    alerts = LogAlerts(FULL, Clock().utc)
    follower = DutyFollower(store, database_url, hints, on_change=changes.append, alerts=alerts, **how)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield follower
    finally:
        stop.set()
        thread.join(10)
        hints.close()
        store.close()


def caught_up(database_url: str, client: Client) -> bool:
    with psycopg.connect(database_url) as connection:
        checkpoint = read_checkpoint(connection, FOLLOWER)
    return checkpoint is not None and checkpoint.position == client.store.head()


def give(client: Client, kind: type[c.Command], order_id: object, **fields: object) -> None:
    stamp = {"order_id": order_id, "command_id": uuid7(), "at": datetime.now(UTC), "by": "test"}
    client.give(kind(**{**stamp, **fields}))


def due(database_url: str, venue: Capabilities = FULL, **how: object) -> list[Duty]:
    duties = PostgresDuties(database_url, venue)
    wanted = {"shards": EVERYTHING, "now": datetime.now(UTC), "limit": 1000, **how}
    found = duties.due(**wanted)  # type: ignore[arg-type]
    duties.close()
    return found


def test_the_table_holds_what_is_open_oldest_first_and_nothing_else(database_url: str, client: Client) -> None:
    changes: list[Changed] = []
    with following(database_url, changes):
        queued, sent, done = client.place(3)
        give(client, c.StartSubmit, sent, worker="w")
        give(client, c.StartSubmit, done, worker="w")
        give(client, c.RecordAccepted, done)
        wait_until(lambda: caught_up(database_url, client))
        assert [(duty.order_id, duty.delivery) for duty in due(database_url)] == [
            (queued, Delivery.QUEUED),
            (sent, Delivery.SENDING),
        ]
        client.cancel(done)
        wait_until(lambda: caught_up(database_url, client))
        assert [(duty.order_id, duty.pending_cancel) for duty in due(database_url)][-1] == (done, True)
        assert [duty.order_id for duty in due(database_url, limit=1)] == [queued, done]  # of each sort the oldest
        give(client, c.RecordCanceled, done)
        wait_until(lambda: caught_up(database_url, client))
        assert len(due(database_url)) == 2
    assert done in changes[-1].settled
    assert {duty.order_id for change in changes for duty in change.open} == {queued, sent, done}


def test_an_order_of_which_the_batch_has_everything_is_told_whole(database_url: str, client: Client) -> None:
    alone, (sent,) = client.place(2), client.place()
    give(client, c.StartSubmit, sent, worker="w")
    changes: list[Changed] = []
    with following(database_url, changes):
        wait_until(lambda: caught_up(database_url, client))
    told = {order.id: order for change in changes for order in change.placed}
    assert told == {order_id: client.order(order_id) for order_id in alone}


def test_an_adapter_reads_no_order_again_that_its_follower_has_just_told_it(
    database_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[UUID] = []
    read_stream = PostgresEventStore.read_stream

    def watched(store: PostgresEventStore, stream_id: UUID, **how: int) -> list[Recorded]:
        if threading.current_thread().name.startswith("order-reads"):
            read.append(stream_id)
        return read_stream(store, stream_id, **how)

    with running_adapter(database_url, PlaceOrderVenue(lambda order: None)):
        (first,) = client.place()
        wait_until(lambda: client.order(first).delivery is Delivery.ACKED)  # it has its shards
        monkeypatch.setattr(PostgresEventStore, "read_stream", watched)
        order_ids = client.place(20)
        wait_until(lambda: all(client.order(order_id).delivery is Delivery.ACKED for order_id in order_ids))
    assert not set(order_ids) & set(read)


def test_a_restart_goes_on_from_the_table_without_reading_the_log_again(database_url: str, client: Client) -> None:
    with following(database_url, []):
        (first,) = client.place()
        wait_until(lambda: caught_up(database_url, client))
    (second,) = client.place()
    changes: list[Changed] = []
    with following(database_url, changes):
        wait_until(lambda: caught_up(database_url, client))
    assert [duty.order_id for change in changes for duty in change.open] == [second]
    assert [duty.order_id for duty in due(database_url)] == [first, second]


def test_what_waits_for_a_person_or_a_later_time_is_not_due(database_url: str, client: Client) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    at_noon = Client(client.store, FULL, utc=lambda: noon)
    with following(database_url, []):
        parked, doubtful, failed, day = at_noon.place(3) + at_noon.place(time_in_force=TimeInForce.DAY)
        give(client, c.ParkPlacement, parked, reason="r", at=noon)
        for order_id in (doubtful, failed):
            give(client, c.StartSubmit, order_id, worker="w", at=noon)
        give(client, c.RecordSubmitInDoubt, doubtful, attempt=1, reason="r", at=noon)
        give(client, c.RecordSubmitFailed, failed, attempts=(1,), reason="r", at=noon)
        give(client, c.ParkPlacement, day, reason="r", at=noon)
        wait_until(lambda: caught_up(database_url, client))
    just_now, soon = {"now": noon - timedelta(seconds=5)}, {"now": noon + timedelta(seconds=5)}
    tomorrow = {"now": noon + timedelta(days=1)}
    assert [duty.order_id for duty in due(database_url, PLAIN, **just_now)] == []
    assert [duty.order_id for duty in due(database_url, FULL, **just_now)] == [doubtful]
    assert [duty.order_id for duty in due(database_url, PLAIN, **soon)] == [failed]
    assert [duty.order_id for duty in due(database_url, PLAIN, **tomorrow)] == [failed, day]


class CountingStore(PostgresEventStore):
    folds = 0

    def read_stream(self, stream_id: UUID, *, after_version: int = 0, limit: int | None = None) -> list[Recorded]:
        self.folds += after_version == 0
        return super().read_stream(stream_id, after_version=after_version, limit=limit)


def test_late_fills_of_an_order_fold_it_once_a_batch_and_whole(database_url: str, client: Client) -> None:
    (order_id,) = client.place()
    give(client, c.StartSubmit, order_id, worker="w")
    give(client, c.RecordSubmitInDoubt, order_id, attempt=1, reason="r")
    client.cancel(order_id)
    give(client, c.ResolveDoubt, order_id, placed=False, reason="asked by phone")
    for number in range(5):
        give(client, c.RecordExecution, order_id, exec_id=f"E{number}", quantity=1, price=Decimal("1.1"))
    give(client, c.RecordCanceled, order_id)
    give(client, c.RecordExecution, order_id, exec_id="E9", quantity=1, price=Decimal("1.1"))
    store = CountingStore(database_url)
    with following(database_url, [], store, page=2):
        wait_until(lambda: caught_up(database_url, client))
    assert store.folds == 1
    assert due(database_url) == []


def test_a_long_order_is_folded_to_its_end(database_url: str, client: Client) -> None:
    (order_id,) = client.place()
    give(client, c.StartSubmit, order_id, worker="w")
    give(client, c.RecordSubmitInDoubt, order_id, attempt=1, reason="r")
    client.cancel(order_id)
    give(client, c.ResolveDoubt, order_id, placed=False, reason="asked by phone")
    give(client, c.RecordExecution, order_id, exec_id="E", quantity=1, price=Decimal("1.1"))
    with following(database_url, [], page=2):
        wait_until(lambda: caught_up(database_url, client))
    assert [duty.unwanted for duty in due(database_url)] == [True]


def test_duties_are_read_by_shard(database_url: str, client: Client) -> None:
    with following(database_url, []):
        client.place(40)
        wait_until(lambda: caught_up(database_url, client))
    low, high = due(database_url, shards=range(20)), due(database_url, shards=range(20, SHARDS))
    assert len(low) + len(high) == 40
    assert all(duty.shard < 20 for duty in low)


def test_a_reader_that_knows_the_table_is_told_what_is_new_or_has_fallen_due(database_url: str, client: Client) -> None:
    with following(database_url, []):
        old, failed = client.place(2)
        give(client, c.StartSubmit, failed, worker="w")
        give(client, c.RecordSubmitFailed, failed, attempts=(1,), reason="r")
        wait_until(lambda: caught_up(database_url, client))
        known = Known(client.store.head(), datetime.now(UTC) - timedelta(seconds=5))
        (new,) = client.place()
        wait_until(lambda: caught_up(database_url, client))
    later = {"now": datetime.now(UTC) + timedelta(seconds=5)}
    assert [duty.order_id for duty in due(database_url, **later)] == [old, failed, new]
    assert [duty.order_id for duty in due(database_url, known=known, **later)] == [failed, new]


def claimed_replace(database_url: str, client: Client) -> UUID:
    """The order of a replace that was sent to a venue which does not repeat its answers."""
    requests = PostgresSentRequests(database_url)
    (order_id,) = client.place()
    give(client, c.StartSubmit, order_id, worker="w")
    give(client, c.RecordAccepted, order_id)
    client.replace(order_id, quantity=12)
    change = client.order(order_id).pending_replace
    assert change is not None
    assert requests.claim_request(change.request_id, order_id, "one")
    assert not requests.claim_request(change.request_id, order_id, "another")
    requests.close()
    return order_id


def claims(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select count(*) from adapter_sent_requests").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("at_once", [False, True], ids=["batch by batch", "in one batch"])
def test_a_replace_is_claimed_once_and_its_claim_forgotten_when_it_is_answered(
    database_url: str, client: Client, at_once: bool
) -> None:
    order_id = claimed_replace(database_url, client)
    change = client.order(order_id).pending_replace
    assert change is not None
    if not at_once:
        with following(database_url, []):
            wait_until(lambda: caught_up(database_url, client))
    assert claims(database_url) == 1
    give(client, c.RecordReplaced, order_id, quantity=12, request_id=change.request_id)
    with following(database_url, []):
        wait_until(lambda: caught_up(database_url, client))
    assert claims(database_url) == 0


def test_the_position_in_the_reports_only_moves_forward(database_url: str) -> None:
    positions = PostgresReportPositions(database_url, "v")
    assert positions.read() == ReportPosition()
    positions.write(ReportPosition("J", 5))
    positions.write(ReportPosition("J", 3))
    assert positions.read() == ReportPosition("J", 5)
    positions.write(ReportPosition("K", 1))
    assert positions.read() == ReportPosition("K", 1)
    positions.close()
    another = PostgresReportPositions(database_url, "another")
    assert another.read() == ReportPosition()
    another.close()


def test_what_cannot_be_reached_is_unavailable(database_url: str) -> None:
    with PostgresProxy(database_url) as proxy:
        proxy.refuses = True
        with pytest.raises(StoreUnavailable):
            PostgresDuties(proxy.url, FULL).due(EVERYTHING, datetime.now(UTC), 1)
        with pytest.raises(StoreUnavailable):
            PostgresSentRequests(proxy.url).claim_request(uuid4(), uuid4(), "w")
        with pytest.raises(StoreUnavailable):
            PostgresReportPositions(proxy.url, "v").read()


def cut(proxy: PostgresProxy, database_url: str) -> None:
    """The adapter's connections end, and new ones are refused."""
    proxy.refuses = True
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            " and datname = current_database() and application_name not like 'test client%'"
        )


def test_after_a_database_outage_it_goes_on_by_itself_and_nothing_is_called_twice(database_url: str) -> None:
    release, calls = threading.Event(), list[object]()

    def place_order(order: object) -> None:
        calls.append(order)
        release.wait(10)

    venue = PlaceOrderVenue(place_order)
    with (
        PostgresProxy(database_url) as proxy,
        client_of(database_url, venue.capabilities) as client,
        running_adapter(proxy.url, venue),
    ):
        before = client.place(20)
        wait_until(lambda: len(calls) == 20, what="all calls")
        cut(proxy, database_url)
        release.set()
        during = client.place(20)
        proxy.refuses = False
        client.wait_for([*before, *during], lambda order: order.delivery is Delivery.ACKED, within_s=20)
    assert len(calls) == 40
