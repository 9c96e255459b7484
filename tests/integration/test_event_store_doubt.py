"""An append whose answer is lost is settled: written once, and told as what it is."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from orders.eventstore.codec import encode_unit
from orders.eventstore.port import Appended, CommitUnknown, Conflict, EventStoreError, StoreUnavailable, Unit
from orders.eventstore.postgres import PostgresEventStore
from tests.support.log_events import unit, whole_log
from tests.support.postgres_proxy import Fault, PostgresProxy
from tests.support.waiting import wait_until

WITHIN_S = 10.0
APPEND_LOCK = "select pg_advisory_xact_lock(1869767794, 1)"
SLOW_INSERT = """
    create function slow() returns trigger language plpgsql as 'begin perform pg_sleep({}); return null; end';
    create trigger slow after insert on order_events for each statement execute function slow()
"""

FAILURE = """
    create function fail() returns trigger language plpgsql
    as $$ begin raise exception 'no more' using errcode = '{code}'; end $$;
"""


@pytest.fixture
def url(renewed_database_url: str) -> str:
    return renewed_database_url


@pytest.fixture
def proxy(url: str) -> Iterator[PostgresProxy]:
    with PostgresProxy(url) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: PostgresProxy) -> Iterator[PostgresEventStore]:
    """It has appended one event, so that its connection is open and its statement prepared."""
    store = PostgresEventStore(proxy.url, application_name="doubt")
    store.append([unit()])
    yield store
    store.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


@contextmanager
def append_lock_held(url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute(APPEND_LOCK)
        yield


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def appenders(url: str, waiting: bool) -> list[int]:
    """The sessions in an append; those `waiting` for the append lock."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "select pid from pg_stat_activity where application_name = 'doubt append' and datname = current_database()"
            " and state = 'active' and (wait_event_type = 'Lock') = %s",
            (waiting,),
        )
        return [pid for (pid,) in rows]


def end_session(url: str, proxy: PostgresProxy) -> None:
    """Ends the store's session while it is idle, and waits until the store can know."""
    before = proxy.ended
    execute(
        url,
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where application_name = 'doubt append' and datname = current_database()",
    )
    wait_until(lambda: proxy.ended > before, what="the end of the session")


def versions(store: PostgresEventStore, appended: Unit) -> list[int]:
    return [event.version for event in store.read_stream(appended.stream_id)]


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER, Fault.CUT_READY])
def test_an_append_whose_connection_breaks_is_written_once(
    store: PostgresEventStore, proxy: PostgresProxy, fault: Fault
) -> None:
    one, two = unit(events=2), unit()
    proxy.arm(fault)
    assert store.append([one, two]) == [Appended(2, 3), Appended(4, 4)]
    assert proxy.struck.wait(WITHIN_S)
    assert [event.position for event in whole_log(store)] == [1, 2, 3, 4]
    assert store.append([unit()]) == [Appended(5, 5)]


def test_an_append_that_is_still_under_way_on_the_broken_connection_is_waited_for(
    store: PostgresEventStore, proxy: PostgresProxy, url: str
) -> None:
    execute(url, SLOW_INSERT.format(0.4))
    one = unit(events=2)
    proxy.arm(Fault.BREAK_AFTER_REQUEST)
    assert store.append([one]) == [Appended(2, 3)]
    assert proxy.struck.is_set()
    assert versions(store, one) == [1, 2]


def test_a_batch_in_doubt_is_settled_unit_by_unit(store: PostgresEventStore, proxy: PostgresProxy, url: str) -> None:
    taken = unit()
    store.append([taken])
    kept, stale = unit(events=2), unit(taken.stream_id)
    proxy.arm(Fault.LOSE_ANSWER)
    assert store.append([stale, kept]) == [Conflict(taken.stream_id), Appended(3, 4)]
    assert store.head() == 4


def test_another_writers_event_at_the_version_in_doubt_is_a_conflict(
    store: PostgresEventStore, proxy: PostgresProxy, url: str, threads: ThreadPoolExecutor
) -> None:
    stream_id = uuid4()
    proxy.refuses = True
    proxy.arm(Fault.LOSE_REQUEST)
    future = threads.submit(store.append, [unit(stream_id, events=2)])
    assert proxy.struck.wait(WITHIN_S)
    rival = PostgresEventStore(url)
    assert rival.append([unit(stream_id)]) == [Appended(2, 2)]
    rival.close()
    proxy.refuses = False
    assert future.result(WITHIN_S) == [Conflict(stream_id)]
    assert store.head() == 2


def test_a_session_that_is_terminated_during_an_append_leaves_no_doubt(
    store: PostgresEventStore, url: str, threads: ThreadPoolExecutor
) -> None:
    execute(url, SLOW_INSERT.format(1.5))
    one = unit(events=2)
    future = threads.submit(store.append, [one])
    (pid,) = wait_until(lambda: appenders(url, waiting=False), what="the append")
    execute(url, f"select pg_terminate_backend({pid})")
    assert future.result(WITHIN_S) == [Appended(2, 3)]
    assert versions(store, one) == [1, 2]


def test_doubt_that_cannot_be_settled_in_time_is_told_as_unknown(
    store: PostgresEventStore, proxy: PostgresProxy, url: str
) -> None:
    one = encode_unit(unit())
    with append_lock_held(url):
        proxy.arm(Fault.LOSE_REQUEST)
        with pytest.raises(CommitUnknown):
            store.append_encoded([one], timeout_s=0.5)
    assert store.append([unit()])


def test_a_database_that_goes_away_during_an_append_leaves_it_unknown(
    store: PostgresEventStore, proxy: PostgresProxy
) -> None:
    proxy.arm(Fault.LOSE_ANSWER)
    proxy.refuses = True
    one = unit()
    with pytest.raises(CommitUnknown):
        store.append_encoded([encode_unit(one)], timeout_s=0.5)
    proxy.refuses = False
    assert versions(store, one) == [1]
    assert store.append([one]) == [Conflict(one.stream_id)]


def test_a_connection_that_falls_silent_holds_an_append_no_longer_than_allowed(
    store: PostgresEventStore, proxy: PostgresProxy
) -> None:
    proxy.arm(Fault.FREEZE)
    with pytest.raises(CommitUnknown):
        store.append_encoded([encode_unit(unit())], timeout_s=0.3)
    assert store.append([unit()]) == [Appended(3, 3)]


def test_waiting_in_vain_for_the_append_lock_leaves_no_doubt(store: PostgresEventStore, url: str) -> None:
    execute(url, "alter function append_events set lock_timeout = '50ms'")
    with append_lock_held(url), pytest.raises(StoreUnavailable, match="55P03") as caught:
        store.append([unit()])
    assert not isinstance(caught.value, CommitUnknown)
    assert store.append([unit()]) == [Appended(2, 2)]


@pytest.mark.parametrize("code", ["53100", "57014", "40P01", "25006"])
def test_what_the_server_says_has_failed_is_not_written_and_leaves_no_doubt(
    store: PostgresEventStore, url: str, code: str
) -> None:
    """53100: the disk is full."""
    execute(
        url, FAILURE.format(code=code) + "create trigger fails after insert on order_events execute function fail()"
    )
    with pytest.raises(StoreUnavailable, match=code) as caught:
        store.append([unit()])
    assert not isinstance(caught.value, CommitUnknown)
    execute(url, "drop trigger fails on order_events")
    assert store.append([unit()]) == [Appended(2, 2)]


def test_an_append_that_fails_at_its_commit_is_not_taken_for_written(store: PostgresEventStore, url: str) -> None:
    """The rows of its answer are there before the commit; the error comes after them."""
    trigger = "create constraint trigger fails after insert on order_events deferrable initially deferred"
    execute(url, FAILURE.format(code="53100") + f"{trigger} for each row execute function fail()")
    with pytest.raises(StoreUnavailable, match="53100") as caught:
        store.append([unit()])
    assert not isinstance(caught.value, CommitUnknown)
    assert store.head() == 1


def test_a_connection_that_was_lost_while_idle_raises_no_doubt(
    store: PostgresEventStore, proxy: PostgresProxy, url: str
) -> None:
    end_session(url, proxy)
    proxy.refuses = True
    with pytest.raises(StoreUnavailable, match="no connection") as caught:
        store.append_encoded([encode_unit(unit())], timeout_s=0.2)
    assert not isinstance(caught.value, CommitUnknown)
    proxy.refuses = False
    assert store.append([unit()]) == [Appended(2, 2)]


def test_a_database_that_has_become_read_only_is_unavailable_until_it_is_not(
    store: PostgresEventStore, proxy: PostgresProxy, url: str
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    execute(url, f"alter database {name} set default_transaction_read_only = on")
    end_session(url, proxy)
    with pytest.raises(StoreUnavailable, match="25006") as caught:
        store.append([unit()])
    assert not isinstance(caught.value, CommitUnknown)
    assert store.head() == 1
    execute(f"{url}&options=-cdefault_transaction_read_only%3Doff", f"alter database {name} reset all")
    assert store.append([unit()]) == [Appended(2, 2)]


def test_closing_a_store_does_not_wait_for_doubt_to_be_settled(
    store: PostgresEventStore, proxy: PostgresProxy, threads: ThreadPoolExecutor
) -> None:
    proxy.refuses = True
    proxy.arm(Fault.LOSE_ANSWER)
    future: Future[object] = threads.submit(store.append, [unit()])
    assert proxy.struck.wait(WITHIN_S)
    store.close()
    with pytest.raises(EventStoreError) as caught:
        future.result(WITHIN_S)
    assert isinstance(caught.value, CommitUnknown)
