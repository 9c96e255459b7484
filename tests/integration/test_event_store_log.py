"""What the database itself guards: the log is append-only, dense, and as fast under a snapshot that someone holds."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from orders.eventstore.codec import decode, encode_unit
from orders.eventstore.port import Appended, StoreUnavailable
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.sql import load
from tests.support.log_events import unit, whole_log
from tests.support.waiting import wait_until

APPEND = "select head, dropped from append_events(%s, %s, %s, %s)"
SQL = load("orders.eventstore", "postgres.sql")


@pytest.fixture
def url(renewed_database_url: str) -> str:
    return renewed_database_url


@pytest.fixture
def connection(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(url: str) -> Iterator[PostgresEventStore]:
    store = PostgresEventStore(url, application_name="log")
    yield store
    store.close()


def some_events(count: int = 1) -> tuple[list[UUID], list[int], list[str], list[bytes]]:
    return [uuid4() for _ in range(count)], [1] * count, ["OrderPlaced.v1"] * count, [b"{}"] * count


@pytest.mark.parametrize(
    "statement",
    [
        "update order_events set state = ''",
        "update order_events set state = '' where false",
        "delete from order_events",
        "truncate order_events",
        "insert into order_events select * from order_events on conflict (notification_id) do update set topic = ''",
    ],
)
def test_events_are_never_changed_or_removed(
    store: PostgresEventStore, connection: psycopg.Connection[Any], statement: str
) -> None:
    store.append([unit()])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
    connection.execute("grant update, delete, truncate on order_events to current_user")  # as a superuser may
    with pytest.raises(psycopg.errors.RestrictViolation, match="events are never changed or removed") as caught:
        connection.execute(statement)
    assert caught.value.diag.constraint_name == "order_events_immutable"


def test_the_package_reads_the_log_as_its_own(store: PostgresEventStore, url: str) -> None:
    one = unit(events=3)
    store.append([one, unit()])
    parts = {key: str(value) for key, value in conninfo_to_dict(url).items()}
    datastore = PostgresDatastore(parts["dbname"], parts["host"], parts["port"], parts["user"], parts["password"])
    stock = PostgresApplicationRecorder(datastore, events_table_name="order_events")
    notifications = stock.select_notifications(start=1, limit=10)
    assert [(note.id, note.originator_version) for note in notifications] == [(1, 1), (2, 2), (3, 3), (4, 1)]
    assert [decode(event.topic, event.state) for event in stock.select_events(one.stream_id)] == list(one.events)
    assert stock.max_notification_id() == 4
    datastore.close()


def test_the_packages_insert_goes_through_the_append_function(store: PostgresEventStore) -> None:
    encoded = encode_unit(unit(events=2))
    events = [
        StoredEvent(originator_id=encoded.stream_id, originator_version=version, topic=topic, state=state)
        for version, topic, state in zip((1, 2), encoded.topics, encoded.states, strict=True)
    ]
    assert list(store.recorder.insert_events(events) or []) == [1, 2]
    assert store.recorder.max_notification_id() == 2
    with pytest.raises(IntegrityError):
        store.recorder.insert_events(events)
    with pytest.raises(IntegrityError, match="consecutive versions of one stream"):
        store.recorder.insert_events(events[::-1])
    assert store.recorder.insert_events([]) == []


def test_an_append_whose_snapshot_is_older_than_its_lock_is_refused(connection: psycopg.Connection[Any]) -> None:
    connection.execute("set default_transaction_isolation = 'repeatable read'")
    with pytest.raises(psycopg.errors.InvalidTransactionState, match="needs read committed"):
        connection.execute(APPEND, some_events())


def test_the_store_appends_whatever_the_databases_defaults_are(store: PostgresEventStore, url: str) -> None:
    name = conninfo_to_dict(url)["dbname"]
    settings = ("default_transaction_isolation = 'serializable'", "statement_timeout = '1h'", "search_path = 'nowhere'")
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in settings:
            connection.execute(f"alter database {name} set {setting}")
        try:
            assert store.append([unit()]) == [Appended(1, 1)]
            assert len(whole_log(store)) == 1
        finally:
            connection.execute(f"alter database {name} reset all")


def test_a_position_that_was_written_past_the_function_is_no_conflict_of_a_stream(
    store: PostgresEventStore, url: str
) -> None:
    with psycopg.connect(url) as trespasser, ThreadPoolExecutor(1) as threads:
        trespasser.execute("insert into order_events values (1, %s, 1, 'x', '')", (uuid4(),))
        future = threads.submit(store.append, [unit()])
        waits = "select 1 from pg_locks where not granted"
        wait_until(lambda: trespasser.execute(waits).fetchone(), what="the append to wait for the trespasser")
        trespasser.commit()
        with pytest.raises(StoreUnavailable, match="order_events_position_key"):
            future.result(10)


def test_a_rolled_back_append_leaves_no_hole(store: PostgresEventStore, url: str) -> None:
    store.append([unit()])
    with psycopg.connect(url) as connection:
        connection.execute(APPEND, some_events(5))
        connection.rollback()
    assert store.append([unit()]) == [Appended(2, 2)]


def pages_visited(connection: psycopg.Connection[Any], statement: str, *params: object) -> int:
    """By a second execution, since the first one marks what it finds to be dead."""
    for _ in range(2):
        row = connection.execute(f"explain (analyze, buffers, format json) {statement}", params).fetchone()
    assert row is not None
    root = row[0][0]["Plan"]
    return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])


def test_a_snapshot_that_someone_holds_does_not_slow_appends(
    store: PostgresEventStore, connection: psycopg.Connection[Any], url: str
) -> None:
    """Measured in pages that the search of the head visits: a row that is updated would leave a version an append."""
    store.append([unit()])
    with psycopg.connect(url) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("select count(*) from order_events")
        for n in range(600):
            store.append([unit()])
            if n % 3 == 0:
                connection.execute("begin")
                connection.execute(APPEND, some_events(3))
                connection.execute("rollback")
        assert holder.execute("select count(*) from order_events").fetchone() == (1,), "the snapshot is still held"
        assert store.head() == 601
        assert pages_visited(connection, SQL["head"]) <= 8


def test_an_append_reads_no_more_of_a_large_log_than_of_a_small_one(
    store: PostgresEventStore, connection: psycopg.Connection[Any]
) -> None:
    """The store's session plans its statements while the table is empty; the plans must fit a large one, too."""
    known = unit()
    store.append([known])
    for _ in range(8):
        store.append([unit() for _ in range(1_000)])
    before = scans(connection)
    for version in range(1, 21):
        store.append([unit(known.stream_id, expected_version=version), unit()])
        store.append([known, unit()])
        store.read_stream(known.stream_id, after_version=version)
        store.read_last(known.stream_id)
        store.read_last(known.stream_id, as_of_position=4_000)
        store.read_log(after=store.head() - 5, limit=2_000)
    end_sessions(connection)
    after = scans(connection)
    assert after[0] == before[0], "no sequential scan"
    assert after[1] > before[1] + 100, "but index scans"


def scans(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Sequential and index scans of the log's table so far."""
    statement = "select seq_scan, idx_scan from pg_stat_user_tables where relname = 'order_events'"
    connection.execute("select pg_stat_clear_snapshot()")
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0], row[1]


def end_sessions(connection: psycopg.Connection[Any]) -> None:
    """A session hands in its counts when it ends."""
    connection.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    connection.execute("select pg_stat_force_next_flush()")


def test_what_is_read_by_a_generic_plan_is_read_by_index(
    store: PostgresEventStore, connection: psycopg.Connection[Any]
) -> None:
    store.append([unit()])
    connection.execute("set plan_cache_mode = force_generic_plan")
    for number, name in enumerate(("read_stream", "read_last", "read_log", "head")):
        statement = SQL[name].replace("%s", "$1", 1).replace("%s", "$2", 1).replace("%s", "$3", 1)
        connection.execute(f"prepare p{number} as {statement}")
        arguments = ", ".join(["null"] * SQL[name].count("%s"))
        rows = connection.execute(f"explain execute p{number}" + (f" ({arguments})" if arguments else "")).fetchall()
        plan = "\n".join(row[0] for row in rows)
        assert "Index" in plan, f"{name}:\n{plan}"
        assert "Sort" not in plan, f"{name}:\n{plan}"


def test_a_batch_near_the_bound_is_written_within_its_time(store: PostgresEventStore) -> None:
    began_at = time.monotonic()
    answers = store.append([unit() for _ in range(3_000)])
    assert answers[-1] == Appended(3_000, 3_000)
    assert time.monotonic() - began_at < 5.0


def test_events_are_stored_as_they_are_encoded(store: PostgresEventStore, connection: psycopg.Connection[Any]) -> None:
    encoded = encode_unit(unit())
    store.append_encoded([encoded])
    row = connection.execute("select topic, state from order_events").fetchone()
    assert row == (encoded.topics[0], encoded.states[0])
