"""Alerts on a real PostgreSQL: the table, who tells of it, and the way from a call that hangs to a webhook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from uuid_utils.compat import uuid7

from exchange_adapter.alert_board import LogAlerts, PostgresAlertBoard, Told
from exchange_adapter.alerts import Alert, AlertKind
from exchange_adapter.bounds import ALERT_QUIET_S
from exchange_adapter.place_order import PlaceOrderVenue
from exchange_adapter.work.duties import FOLLOWER, DutyFollower
from orders.domain import commands as c
from orders.domain.values import Capabilities, Delivery
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from orders.follower import read_checkpoint
from tests.support.adapter_floor import PLAIN
from tests.support.running_adapter import Client, client_of, running_adapter
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import WebhookReceiver

NOW = datetime.now(UTC).replace(microsecond=0)
LATE, HELD, HANG = AlertKind.LATE_FILL, AlertKind.ORDER_HELD, AlertKind.CALLS_HANG


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    with client_of(database_url, PLAIN) as client:
        yield client


@pytest.fixture
def board(database_url: str) -> Iterator[PostgresAlertBoard]:
    with board_of(database_url, "worker-1") as board:
        yield board


@contextmanager
def board_of(database_url: str, worker: str) -> Iterator[PostgresAlertBoard]:
    board = PostgresAlertBoard(database_url, worker)
    try:
        yield board
    finally:
        board.close()


@contextmanager
def following(
    database_url: str, utc: Callable[[], datetime] = lambda: datetime.now(UTC), venue: Capabilities = PLAIN
) -> Iterator[None]:
    """Up to the log's end and then on."""
    store, hints, stop = PostgresEventStore(database_url), PostgresHints(database_url), threading.Event()
    alerts = LogAlerts(venue, utc)
    follower = DutyFollower(store, database_url, hints, on_change=lambda changed: None, alerts=alerts)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: checkpoint(database_url) == store.head(), what="the follower")
        yield
        wait_until(lambda: checkpoint(database_url) == store.head(), what="the follower")
    finally:
        stop.set()
        thread.join(10)
        hints.close()
        store.close()


def checkpoint(database_url: str) -> int | None:
    with psycopg.connect(database_url) as connection:
        found = read_checkpoint(connection.cursor(), FOLLOWER)
    return None if found is None else found.position


def run(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def alerts_of(database_url: str) -> list[tuple[Any, ...]]:
    return run(database_url, "select kind, key, times, worker from adapter_alerts order by kind, key")


def wait_for_alerts(database_url: str, expected: list[tuple[Any, ...]]) -> None:
    """What is looked at when a follower starts: it may be at the log's end before it has."""
    wait_until(lambda: alerts_of(database_url) == expected, what=f"{expected}")


def give(client: Client, kind: type[c.Command], order_id: UUID, **fields: Any) -> None:
    stamp = {"order_id": order_id, "command_id": uuid7(), "at": datetime.now(UTC), "by": "test"}
    client.give(kind(**stamp, **fields))


def doubt(client: Client, order_id: UUID) -> None:
    give(client, c.StartSubmit, order_id, worker="w")
    give(client, c.RecordSubmitInDoubt, order_id, attempt=1, reason="no answer\0")


def resolve(client: Client, order_id: UUID) -> None:
    give(client, c.ResolveDoubt, order_id, placed=True, reason="asked by phone")


def fill(client: Client, order_id: UUID, exec_id: str, quantity: int = 1) -> None:
    give(client, c.RecordExecution, order_id, exec_id=exec_id, quantity=quantity, price=Decimal("1.1"))


def test_alerts_come_and_go_with_the_log(database_url: str, client: Client) -> None:
    first, second = client.place(2)
    with following(database_url):
        doubt(client, first)
        doubt(client, second)
    assert {row[:2] for row in alerts_of(database_url)} == {(HELD, str(first)), (HELD, str(second))}
    with following(database_url):
        resolve(client, first)
        fill(client, second, "E1", 11)
        fill(client, second, "E2")
    assert alerts_of(database_url) == [(AlertKind.OVERFILL, str(second), 2, None)]


def test_orders_in_doubt_are_judged_anew_when_the_adapter_starts_with_other_settings(
    database_url: str, client: Client
) -> None:
    resending, canceling = Capabilities(resends_in_doubt=True), Capabilities(cancels=True)
    plain, canceled, parked = client.place(3)
    with following(database_url, venue=resending):
        doubt(client, plain)
        doubt(client, canceled)
        give(client, c.CancelOrder, canceled)
        give(client, c.ParkPlacement, parked, reason="8 attempts failed")
    always = (AlertKind.ORDER_PARKED, str(parked), 1, None)
    assert alerts_of(database_url) == [always]
    both = [(HELD, str(order_id), 1, None) for order_id in sorted((plain, canceled), key=str)]
    with following(database_url):
        wait_for_alerts(database_url, [*both, always])
    assert run(database_url, f"select detail from adapter_alerts where key = '{plain}'") == [("EURUSD: no answer",)]
    with following(database_url, venue=canceling):
        wait_for_alerts(database_url, [(HELD, str(plain), 1, None), always])
    with following(database_url, venue=resending):
        wait_for_alerts(database_url, [always])
        resolve(client, plain)


def test_a_table_made_again_from_the_log_has_the_same_alerts_but_for_what_is_long_over(
    database_url: str, client: Client
) -> None:
    held, late = client.place(2)
    doubt(client, held)
    doubt(client, late)
    resolve(client, late)
    give(client, c.RecordCanceled, late)
    fill(client, late, "E1")
    with following(database_url):
        pass
    before = alerts_of(database_url)
    assert [row[0] for row in before] == [LATE, HELD]
    start_over = "truncate adapter_duties; delete from follower_checkpoint"
    run(database_url, start_over)
    with following(database_url):
        pass
    assert alerts_of(database_url) == before
    run(database_url, start_over)
    with following(database_url, lambda: datetime.now(UTC) + timedelta(seconds=ALERT_QUIET_S + 60)):
        pass
    assert alerts_of(database_url) == [before[1]]


def own(kind: AlertKind, key: str, detail: str = "d") -> Alert:
    return Alert(kind=kind, key=key, opened_at=NOW, last_at=NOW, detail=detail, worker="worker-1")


def test_a_process_tells_its_own_conditions_and_they_end_with_it(database_url: str, board: PostgresAlertBoard) -> None:
    board.tell_own([own(HANG, "worker-1"), own(AlertKind.LATE_FAILURE, "order")])
    with board_of(database_url, "worker-2") as other:
        other.tell_own([own(HANG, "worker-2"), own(AlertKind.LATE_FAILURE, "order", "also seen here")])
        rows = [(HANG, "worker-1", 1, "worker-1"), (HANG, "worker-2", 1, "worker-2")]
        late = (AlertKind.LATE_FAILURE, "order", 1, "worker-1")
        assert alerts_of(database_url) == [*rows, late], "one alert an order: the first keeps it"
        board.tell_own([own(HANG, "worker-1")])
        assert alerts_of(database_url) == rows
        run(database_url, "insert into adapter_workers (worker, venue, backend_pid) values ('worker-1', 'v', 1)")
        other.tidy(NOW)
        assert alerts_of(database_url) == rows
        run(database_url, "delete from adapter_workers")
        other.tidy(NOW)
        assert alerts_of(database_url) == rows[1:]


def test_contradictions_end_when_they_stay_quiet_and_nothing_else_does(
    database_url: str, board: PostgresAlertBoard
) -> None:
    run(
        database_url,
        "insert into adapter_alerts (kind, key, opened_at, last_at, detail, position)"
        f" select kind, key, '{NOW}', '{NOW}', 'd', 1"
        " from (values ('late_fill', 'a'), ('order_held', 'b'), ('unheard_of', 'c')) as given (kind, key)",
    )
    board.tidy(NOW + timedelta(seconds=ALERT_QUIET_S))
    assert len(alerts_of(database_url)) == 3
    board.tidy(NOW + timedelta(seconds=ALERT_QUIET_S + 1))
    assert [row[1] for row in alerts_of(database_url)] == ["b", "c"]
    opened = board.open()
    assert {kind: open_kind.alerts for kind, open_kind in opened.items()} == {HELD: 1}, "others' kinds are left alone"
    assert [example.key for example in board.examples(HELD)] == ["b"]


def test_one_process_leads_until_its_connection_ends(database_url: str, board: PostgresAlertBoard) -> None:
    with board_of(database_url, "worker-2") as other:
        assert board.lead()
        assert board.lead()
        assert not other.lead()
        run(database_url, f"select pg_terminate_backend({board.backend_pid})")
        wait_until(other.lead, what="the other to take over")
        assert not board.lead()


def test_what_was_told_is_kept(board: PostgresAlertBoard) -> None:
    assert board.told() == {}
    told = Told(number=1, open=True, alerts=3, newest=NOW, told_at=NOW, delivered=False)
    board.write_told(HELD, told)
    board.write_told(LATE, told)
    cleared = Told(number=2, open=False, alerts=0, newest=None, told_at=NOW, delivered=True)
    board.write_told(HELD, cleared)
    assert board.told() == {HELD: cleared, LATE: told}


def test_an_order_whose_call_hangs_reaches_the_webhook_and_its_end_too(database_url: str) -> None:
    returning = threading.Event()

    def place_order(order: Any) -> None:
        returning.wait(20)

    with (
        WebhookReceiver().serving() as receiver,
        client_of(database_url, Capabilities()) as client,
        running_adapter(
            database_url,
            PlaceOrderVenue(place_order),
            webhook=receiver.url,
            alert_pause_s=0.5,
            call_timeout_s=0.3,
        ),
    ):
        receiver.answers = [500]
        (order_id,) = client.place()

        def told(kind: AlertKind, state: str) -> dict[str, Any] | None:
            return next((n for n in receiver.notices if (n["kind"], n["state"]) == (kind, state)), None)

        held = wait_until(lambda: told(HELD, "open"), what="the alert")
        assert (held["alerts"], held["examples"][0]["key"]) == (1, str(order_id))
        assert "no answer within 0.3 s" in held["summary"]
        hanging = wait_until(lambda: told(HANG, "open"), what="the alert of the hanging call")
        assert hanging["examples"][0]["detail"].startswith("1 of ")
        resolve(client, order_id)
        wait_until(lambda: told(HELD, "cleared"), what="the end of the alert")
        assert client.order(order_id).delivery is Delivery.ACKED
        returning.set()
        wait_until(lambda: told(HANG, "cleared"), what="the end of the hanging call")
        unfinished = "select kind from adapter_alert_notices where open or not delivered"
        wait_until(lambda: run(database_url, unfinished) == [], what="all that was told to be written as delivered")
    assert alerts_of(database_url) == []
