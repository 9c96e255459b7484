"""What appends and reads the log goes on by itself after an outage, and guesses nothing meanwhile."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event

import psycopg
import pytest

from order_service.migrations import migrate
from order_service.postgres import EmbeddedPostgres
from orders.bounds import APPEND_TIMEOUT_S
from orders.eventstore.codec import encode_unit
from orders.eventstore.group_commit import Writer
from orders.eventstore.live_log import LiveLog
from orders.eventstore.port import Appended, CommitUnknown, Conflict, EncodedUnit, Recorded, StoreUnavailable, Unit
from orders.eventstore.postgres import PostgresEventStore
from orders.eventstore.subscription import PostgresHints
from tests.support.log_events import unit, whole_log
from tests.support.postgres import passable_folder, url_of_database
from tests.support.waiting import wait_until, wait_until_async

WITHIN_S = 20.0
_numbers = count(1)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with passable_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One that these tests may stop."""
    with EmbeddedPostgres(folder, durable=False) as server:
        yield server


@pytest.fixture
def url(server: EmbeddedPostgres) -> str:
    server.start()
    name = f"outage_{next(_numbers)}"
    execute(server.url, f"create database {name}")
    url = url_of_database(server.url, name)
    migrate(url)
    return url


@pytest.fixture
def store(url: str) -> Iterator[PostgresEventStore]:
    store = PostgresEventStore(url, application_name="outage")
    yield store
    store.close()


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def events_in(store: PostgresEventStore, units: list[Unit]) -> int:
    ids = {event.event_id for one in units for event in one.events}
    return sum(event.event.event_id in ids for event in whole_log(store))


def test_the_writer_and_the_live_log_go_on_after_the_database_was_stopped(
    server: EmbeddedPostgres, store: PostgresEventStore, url: str
) -> None:
    asyncio.run(outlive_a_stop(server, store, url))


async def outlive_a_stop(server: EmbeddedPostgres, store: PostgresEventStore, url: str) -> None:
    seen: list[Recorded] = []
    hints = PostgresHints(url)
    live = LiveLog(store, hints)
    await live.start()
    live.listen(seen.extend)
    writer = Writer(store, timeout_s=1.0)
    writer.start()
    before = await asyncio.gather(*(writer.append(unit()) for _ in range(50)))

    server.stop()
    refused = await asyncio.gather(*(writer.append(unit()) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in refused)
    assert not any(isinstance(answer, CommitUnknown) for answer in refused), "nothing was sent"

    server.start()
    after = await wait_until_async(lambda: appended_or_none(writer), within_s=WITHIN_S, what="an append")
    assert sorted(answer.position for answer in [*before, after] if isinstance(answer, Appended)) == list(range(1, 52))
    assert writer.last_position == 51
    assert await live.wait_for(51, WITHIN_S)
    assert [event.position for event in seen] == list(range(1, 52))
    writer.close()
    live.close()
    hints.close()


async def appended_or_none(writer: Writer) -> Appended | None:
    try:
        answer = await writer.append(unit())
    except StoreUnavailable:
        return None
    assert isinstance(answer, Appended)
    return answer


class HalfwayStore(PostgresEventStore):
    """It takes so many events, and more when it is let go: whoever comes late still comes in the middle."""

    def __init__(self, url: str, events: int) -> None:
        super().__init__(url, application_name="outage")
        self.let_go = Event()
        self._events = events

    def append_encoded(
        self, units: Sequence[EncodedUnit], *, timeout_s: float = APPEND_TIMEOUT_S
    ) -> list[Appended | Conflict]:
        assert self._events > 0 or self.let_go.wait(WITHIN_S)
        self._events -= len(units)
        return super().append_encoded(units, timeout_s=timeout_s)


def test_what_was_acknowledged_is_there_after_a_server_process_is_killed_under_load(
    server: EmbeddedPostgres, url: str
) -> None:
    with closing(HalfwayStore(url, 1_000)) as store:
        store.append([unit()])
        pid = appending_process(url)
        writer = Writer(store, max_batch_units=20)
        writer.start()
        units = [unit() for _ in range(2_000)]
        futures = [writer.submit(one) for one in units]
        wait_until(lambda: writer.last_position > 100, what="some commits")
        os.kill(pid, signal.SIGKILL)  # every session of the server ends, and it recovers
        assert writer.queued, "there is still something to do"
        store.let_go.set()
        answers = [future.result(WITHIN_S) for future in futures]
        writer.close()
        assert all(isinstance(answer, Appended) for answer in answers), "the time allowed covers the recovery"
        assert events_in(store, units) == 2_000
        assert [event.position for event in whole_log(store)] == list(range(1, 2_002))


def appending_process(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        ((pid,),) = connection.execute(
            "select pid from pg_stat_activity where application_name = 'outage append' and datname = current_database()"
        ).fetchall()
    assert isinstance(pid, int)
    return pid


def test_a_commit_that_gave_up_on_its_standby_is_no_success(
    server: EmbeddedPostgres, store: PostgresEventStore, url: str, folder: Path
) -> None:
    store.append([unit()])
    one = unit()
    set_standbys(server, folder, url, "nobody")
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(store.append_encoded, [encode_unit(one)], timeout_s=3.0)
        waits = wait_until(lambda: waiting_for_standby(url), what="the wait for the standby")
        while waits and not future.done():  # the append's, and each attempt's to settle it
            execute(url, f"select pg_cancel_backend({waits})")
            waits = wait_until(lambda: waiting_for_standby(url) or future.done(), what="the next wait")
        with pytest.raises(CommitUnknown):
            future.result(WITHIN_S)
    assert events_in(store, [one]) == 1, "it is committed here all the same"
    set_standbys(server, folder, url, "")
    answer = wait_until(lambda: appended(store), what="an append without a standby")
    assert answer is not None
    assert [event.position for event in whole_log(store)] == list(range(1, answer.position + 1))


def set_standbys(server: EmbeddedPostgres, folder: Path, url: str, names: str) -> None:
    settings = next(folder.rglob("postgresql.conf"))
    settings.write_text(f"{settings.read_text()}\nsynchronous_standby_names = '{names}'\n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGHUP)
    with psycopg.connect(url, autocommit=True) as connection:
        show = "show synchronous_standby_names"
        wait_until(lambda: connection.execute(show).fetchall() == [(names,)], what="the server to read its settings")


def waiting_for_standby(url: str) -> int | None:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "select pid from pg_stat_activity where wait_event = 'SyncRep' and datname = current_database()"
        ).fetchone()
        return row[0] if row else None


def appended(store: PostgresEventStore) -> Appended | None:
    try:
        answer = store.append_encoded([encode_unit(unit())], timeout_s=1.0)[0]
    except StoreUnavailable:
        return None
    assert isinstance(answer, Appended)
    return answer
