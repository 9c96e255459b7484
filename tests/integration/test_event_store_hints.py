"""NOTIFY as a hint: it makes reading earlier, and its loss costs a poll."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from orders.bounds import POLL_INTERVAL_S
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints, Subscription
from tests.support.log_events import WatchedHints, unit
from tests.support.postgres_proxy import PostgresProxy
from tests.support.waiting import wait_until

WITHIN_S = 10.0


@pytest.fixture
def proxy(renewed_database_url: str) -> Iterator[PostgresProxy]:
    with PostgresProxy(renewed_database_url) as proxy:
        yield proxy


@pytest.fixture
def store(renewed_database_url: str) -> Iterator[PostgresEventStore]:
    store = PostgresEventStore(renewed_database_url)
    yield store
    store.close()


@pytest.fixture
def hints(proxy: PostgresProxy) -> Iterator[PostgresHints]:
    hints = PostgresHints(proxy.url, application_name="hints")
    assert hints.wait(0, WITHIN_S) == 1, "the hint for what came before"
    yield hints
    hints.close()


def end_session(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where application_name = 'hints' and datname = current_database()"
        )


def test_each_append_is_a_hint_to_all_who_wait(hints: PostgresHints, store: PostgresEventStore) -> None:
    with ThreadPoolExecutor(3) as threads:
        waits = [threads.submit(hints.wait, 1, WITHIN_S) for _ in range(3)]
        store.append([unit()])
        assert [wait.result(WITHIN_S) for wait in waits] == [2, 2, 2]


def test_an_append_of_conflicts_only_is_none(hints: PostgresHints, store: PostgresEventStore) -> None:
    one = unit()
    store.append([one])
    assert hints.wait(1, WITHIN_S) == 2
    store.append([one])
    store.append([unit()])
    assert hints.wait(2, WITHIN_S) == 3
    assert hints.wait(3, 0) == 3


def test_after_its_session_ended_it_listens_again(
    hints: PostgresHints, store: PostgresEventStore, renewed_database_url: str
) -> None:
    end_session(renewed_database_url)
    assert hints.wait(1, WITHIN_S) == 2, "the hint for what came meanwhile"
    store.append([unit()])
    assert hints.wait(2, WITHIN_S) == 3


def test_while_it_cannot_connect_waiting_takes_no_longer_than_allowed(
    hints: PostgresHints, proxy: PostgresProxy, renewed_database_url: str
) -> None:
    proxy.refuses = True
    end_session(renewed_database_url)
    began_at = time.monotonic()
    assert hints.wait(1, 0.1) == 1
    assert time.monotonic() - began_at < 1.0
    proxy.refuses = False
    assert hints.wait(1, WITHIN_S) == 2


def test_a_silent_connection_costs_no_event(
    hints: PostgresHints, proxy: PostgresProxy, store: PostgresEventStore
) -> None:
    """Half-open: nothing comes any more, and nobody says so."""
    proxy.silence()
    watched = WatchedHints(hints)
    subscription = Subscription(store, after=0, hints=watched)
    with ThreadPoolExecutor(1) as threads:
        for position in range(1, 4):
            began_at = time.monotonic()
            watched.waited_for.clear()
            future = threads.submit(subscription.next_batch, 2 * WITHIN_S)
            assert watched.waited_for.wait(WITHIN_S)
            store.append([unit()])
            assert [event.position for event in future.result(WITHIN_S)] == [position]
            assert time.monotonic() - began_at < POLL_INTERVAL_S * 20
    assert hints.wait(1, 0) == 1, "none of it was heard"


def test_closing_wakes_who_waits_and_ends_the_session(hints: PostgresHints, renewed_database_url: str) -> None:
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(hints.wait, 1, 30.0)
        hints.close()
        assert future.result(WITHIN_S) == 2
    sessions = "select 1 from pg_stat_activity where application_name = 'hints' and datname = current_database()"
    with psycopg.connect(renewed_database_url, autocommit=True) as connection:
        wait_until(lambda: connection.execute(sessions).fetchone() is None, what="the session to end")
