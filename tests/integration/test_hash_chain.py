"""The chain covers every event once, as stored; it cannot fork, and nobody changes it."""

import logging
import threading
from uuid import uuid4

import psycopg
import pytest

from orders.bounds import LINK_EVENTS
from orders.eventstore import codec
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import CHANNEL
from orders.hash_chain import GENESIS, ChainHead, HashChain, event_digest, link_hash
from tests.support.hash_chain import chain_log, chaining, head_of
from tests.support.log_events import unit, whole_log
from tests.support.postgres import execute, value
from tests.support.read_service import projecting
from tests.support.tampering import superuser_url, tamper
from tests.support.waiting import wait_until


def append(store: PostgresEventStore, events: int) -> None:
    for start in range(0, events, 500):
        store.append([unit() for _ in range(min(500, events - start))])


def links(url: str) -> list[tuple[int, int, bytes, bytes, bytes]]:
    columns = "first_position, last_position, previous, event_digests, hash"
    with psycopg.connect(url) as connection:
        return connection.execute(f"select {columns} from hash_chain order by last_position").fetchall()


def covered(url: str) -> int:
    """Where the chain ends, whose links follow one another from the first event."""
    end, previous = 0, GENESIS
    for first_position, last_position, its_previous, _, digest in links(url):
        assert (first_position, its_previous) == (end + 1, previous)
        end, previous = last_position, digest
    return end


def test_each_link_hashes_its_events_as_stored_and_the_link_before(
    store: PostgresEventStore, database_url: str
) -> None:
    stream = uuid4()
    store.append([unit(stream), unit(events=3)])
    chain_log(store, database_url)
    store.append([unit(stream, expected_version=1, events=2)])
    chain_log(store, database_url)

    digests = [
        event_digest(one.stream_id, one.version, codec.topic_of(one.event), codec.encode(one.event))
        for one in whole_log(store)
    ]
    first = link_hash(GENESIS, 1, b"".join(digests[:4]))
    assert links(database_url) == [
        (1, 4, GENESIS, b"".join(digests[:4]), first),
        (5, 6, first, b"".join(digests[4:]), link_hash(first, 5, b"".join(digests[4:]))),
    ]


def test_a_log_that_was_there_before_is_covered_from_its_start_in_bounded_links(
    store: PostgresEventStore, database_url: str
) -> None:
    append(store, LINK_EVENTS * 2 + 500)
    chain_log(store, database_url)
    assert covered(database_url) == LINK_EVENTS * 2 + 500
    sizes = [last - first + 1 for first, last, *_ in links(database_url)]
    assert max(sizes) <= LINK_EVENTS
    assert len(sizes) < 20  # a machine that is busy makes more of them, smaller ones


def test_an_event_that_this_release_cannot_read_is_covered_too(store: PostgresEventStore, database_url: str) -> None:
    append(store, 1)
    execute(
        database_url,
        "insert into order_events values (2, gen_random_uuid(), 1, 'Unheard.v9', 'no JSON')",
    )
    assert chain_log(store, database_url).position == 2


def test_small_appends_share_a_link(store: PostgresEventStore, database_url: str) -> None:
    with chaining(store, database_url, interval_s=30) as chain:
        append(store, 1)
        wait_until(lambda: chain.head and chain.head.position, what="the first link")
        append(store, 20)
        append(store, LINK_EVENTS)
        wait_until(lambda: chain.head and chain.head.position == LINK_EVENTS + 1, what="the full link")
    assert covered(database_url) == LINK_EVENTS + 1  # the rest waits for more
    assert links(database_url)[0][:2] == (1, 1)
    assert len(links(database_url)) < 20


def test_two_that_keep_it_at_once_make_one_chain(store: PostgresEventStore, database_url: str) -> None:
    """The lock that keeps them apart only saves work: here neither takes it."""
    chains = [HashChain(store, database_url, interval_s=0) for _ in range(2)]
    for chain in chains:
        chain.follower._locked = lambda connection: True  # type: ignore[method-assign]
    stop = threading.Event()
    threads = [threading.Thread(target=chain.run, args=(stop,)) for chain in chains]
    for thread in threads:
        thread.start()
    for _ in range(20):
        append(store, 5)
    wait_until(lambda: head_of(database_url).position == 100, what="the chain")
    stop.set()
    for thread in threads:
        thread.join(10)
    assert covered(database_url) == 100


def test_its_commits_announce_nothing_which_appends_would_wait_for(
    store: PostgresEventStore, database_url: str
) -> None:
    append(store, 3)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"listen {CHANNEL}")
        chain_log(store, database_url)
        connection.execute(f"notify {CHANNEL}, 'last'")
        assert [notify.payload for notify in connection.notifies(timeout=5, stop_after=1)] == ["last"]


def test_nobody_forks_changes_or_cuts_it(store: PostgresEventStore, database_url: str) -> None:
    append(store, 3)
    chain_log(store, database_url)
    for statement in ("update hash_chain set hash = previous", "delete from hash_chain", "truncate hash_chain"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(database_url, statement)
        with pytest.raises(psycopg.errors.RestrictViolation):
            execute(superuser_url(database_url), statement)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(
            database_url,
            "insert into hash_chain select first_position, last_position + 1, previous, event_digests || hash, hash"
            " from hash_chain",
        )


def test_a_missing_event_stops_it_there_and_it_says_so(store: PostgresEventStore, database_url: str) -> None:
    append(store, 5)
    tamper(database_url, "delete from order_events where notification_id = 3")
    with chaining(store, database_url):
        wait_until(lambda: value(database_url, "select count(*) from follower_failure"), what="the failure told")
    assert head_of(database_url).position == 2
    reason = value(database_url, "select name || ' ' || position || ' ' || reason from follower_failure")
    assert reason == "hash_chain 3 BrokenChain: an event is missing between positions 3 and 3"


@pytest.mark.parametrize(
    "statement", ["delete from follower_checkpoint", "update follower_checkpoint set position = 1"]
)
def test_a_checkpoint_that_was_lost_is_taken_from_the_chain_itself(
    store: PostgresEventStore, database_url: str, statement: str
) -> None:
    append(store, 3)
    chain_log(store, database_url)
    execute(database_url, statement)
    append(store, 2)
    assert chain_log(store, database_url).position == 5
    assert covered(database_url) == 5
    assert value(database_url, "select position from follower_checkpoint where name = 'hash_chain'") == 5
    assert value(database_url, "select count(*) from follower_failure") == 0


def test_a_checkpoint_that_is_ahead_of_the_chain_stops_it(store: PostgresEventStore, database_url: str) -> None:
    append(store, 2)
    chain_log(store, database_url)
    execute(database_url, "update follower_checkpoint set position = 3")
    append(store, 2)
    with chaining(store, database_url):
        wait_until(lambda: value(database_url, "select count(*) from follower_failure"), what="the failure told")
    assert value(database_url, "select reason from follower_failure") == (
        "BrokenChain: the last link ends at position 2, and its follower is at 3"
    )


def test_the_projector_keeps_it_and_tells_its_head(
    store: PostgresEventStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="orders.hash_chain")
    append(store, 4)
    with projecting(store, database_url):
        wait_until(lambda: head_of(database_url) != ChainHead(), what="the chain")
    assert f"hash chain: head {head_of(database_url)}" in caplog.text


def test_the_head_is_told_as_the_chain_grows_or_after_a_while(
    store: PostgresEventStore, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders.hash_chain.TOLD_HEAD_EVENTS", 10)
    caplog.set_level(logging.INFO, logger="orders.hash_chain")

    def told() -> list[str]:
        return [message.split()[3].split(":")[0] for message in caplog.messages if "hash chain: head" in message]

    with chaining(store, database_url) as chain:
        for events in (9, 1, 2):
            append(store, events)
            wait_until(lambda: chain.head and chain.head.position == store.head(), what="the chain")
        assert told() == ["10"]
        chain.tell_when_due()
        assert told() == ["10"]
        monkeypatch.setattr("orders.hash_chain.TOLD_HEAD_S", 0)
        chain.tell_when_due()
        assert told() == ["10", "12"]
        append(store, 1)
        wait_until(lambda: chain.head and chain.head.position == 13, what="the chain")
    assert told() == ["10", "12", "13"]
