"""The hash chain kept in a thread, and what it holds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from orders.eventstore.port import EventStore
from orders.eventstore.sql import load
from orders.hash_chain import FOLLOWER, ChainHead, HashChain, read_head
from tests.support.waiting import wait_until

_SQL = load("orders", "hash_chain.sql")


@contextmanager
def chaining(store: EventStore, url: str, *, interval_s: float = 0.0) -> Iterator[HashChain]:
    """The chain is kept meanwhile."""
    stop, chain = threading.Event(), HashChain(store, url, interval_s=interval_s)
    thread = threading.Thread(target=chain.run, args=(stop,))
    thread.start()
    try:
        yield chain
    finally:
        stop.set()
        chain.look()
        thread.join(10)
        assert not thread.is_alive()


def link(chain: HashChain, store: EventStore) -> ChainHead:
    """Waits until the chain holds what is in the log now; its head."""
    chain.look()
    head = store.head()
    wait_until(lambda: chain.head is not None and chain.head.position >= head, what=f"the chain at {head}")
    assert chain.head is not None
    return chain.head


def chain_log(store: EventStore, url: str) -> ChainHead:
    """Lets the chain catch up with the log; its head."""
    with chaining(store, url) as chain:
        return link(chain, store)


def link_by_hand(store: EventStore, url: str) -> None:
    """Exactly one link, of all events that the chain does not cover, as the chain's follower makes it."""
    with psycopg.connect(url) as connection:
        after, to = read_head(connection).position, store.head()
        assert connection.execute(_SQL["link"], {"after": after, "to": to}).fetchone() is not None
        connection.execute(
            "insert into follower_checkpoint (name, position) values (%s, %s)"
            " on conflict (name) do update set position = excluded.position",
            (FOLLOWER, to),
        )


def head_of(url: str) -> ChainHead:
    with psycopg.connect(url) as connection:
        return read_head(connection)
