"""The hash chain over the stored events: whoever changes, removes or reorders one afterwards is noticed.

A follower beside the log adds a link for each batch: the SHA-256 of every event in it, and a hash over those and the
link before. The database hashes the bytes where they are (hash_chain.sql); `event_digest` and `link_hash` here are the
same rule in Python, for whoever checks (log_check/). It takes no lock that an append waits for.

A chain in the database that it guards can be made anew by who may do anything there. So its head, position and hash,
goes to the log output, which is kept elsewhere.
"""

from __future__ import annotations

import logging
import time
from hashlib import sha256
from threading import Event
from typing import Any, cast
from uuid import UUID

import psycopg
from msgspec import Struct

from orders.bounds import LINK_EVENTS, LINK_INTERVAL_S, TOLD_HEAD_EVENTS, TOLD_HEAD_S
from orders.eventstore.port import EventStore, Recorded
from orders.eventstore.shared_reads import Log
from orders.eventstore.sql import load
from orders.eventstore.subscription import MemoryHints
from orders.follower import Cursor, Follower

log = logging.getLogger(__name__)

_SQL = load("orders", "hash_chain.sql")

READ_HEAD = _SQL["head"]
"""The statement: position and hash of the chain's head, or no row."""
FOLLOWER = "hash_chain"
GENESIS = bytes(32)
"""The predecessor of the first link."""


class BrokenChain(Exception):
    """The chain cannot be continued: `orders verify` says what is wrong with it."""


class ChainHead(Struct, frozen=True):
    """The chain covers everything up to `position`; written `position:hash`, in hex."""

    position: int = 0
    hash: bytes = GENESIS

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


def parse_head(text: str) -> ChainHead:
    """Raises ValueError where it is not `position:hash`."""
    position, _, digest = text.strip().partition(":")
    head = ChainHead(int(position), bytes.fromhex(digest))
    if head.position < 1 or len(head.hash) != len(GENESIS):
        raise ValueError("a position from 1 on, and 64 hexadecimal digits")
    return head


def event_digest(stream_id: UUID, version: int, topic: str, state: bytes) -> bytes:
    """SHA-256 over an event as it is stored. Lengths keep apart what would read the same when put together."""
    name = topic.encode()
    lengths = (len(name).to_bytes(4, "big"), len(state).to_bytes(4, "big"))
    return sha256(b"".join((stream_id.bytes, version.to_bytes(8, "big"), lengths[0], name, lengths[1], state))).digest()


def link_hash(previous: bytes, first_position: int, event_digests: bytes) -> bytes:
    return sha256(previous + first_position.to_bytes(8, "big") + event_digests).digest()


def read_head(cursor: Cursor | psycopg.Connection[Any]) -> ChainHead:
    """How far the chain reaches. Raises psycopg.Error."""
    row = cursor.execute(READ_HEAD).fetchone()
    return ChainHead() if row is None else ChainHead(row[0], row[1])


class _Place(Struct, frozen=True):
    """Where an event is in the log. The event itself is not read."""

    position: int


class _Places:
    """The log as places only. It hands out whole links while there are any, and less only once in `interval_s`: under a
    steady load the links would be as small as the appends otherwise, and their commits as many."""

    def __init__(self, store: EventStore, interval_s: float) -> None:
        self._store = store
        self._interval_s = interval_s
        self._short_at = float("-inf")

    def read_log(self, *, after: int, limit: int) -> list[_Place]:
        events = min(self._store.head() - after, limit)
        whole = events - events % LINK_EVENTS
        if not whole and events > 0:
            if time.monotonic() - self._short_at < self._interval_s:
                return []
            self._short_at = time.monotonic()
        return [_Place(position) for position in range(after + 1, after + (whole or events) + 1)]


class HashChain:
    """Keeps the chain; of several, one does at a time. `follower` says where it is and what is wrong."""

    def __init__(self, store: EventStore, direct_url: str, *, interval_s: float = LINK_INTERVAL_S) -> None:
        self._looks = MemoryHints()  # no hints come: it looks at the poll interval, which is soon enough for it
        self.follower = Follower(
            FOLLOWER,
            cast(Log, _Places(store, interval_s)),  # a follower looks at nothing but the positions of what it reads
            direct_url,
            self._link,
            self._looks,
            on_start=self._begin,
            on_commit=self._committed,
            batch_events=LINK_EVENTS,
            durable=True,  # a head that was told outside must not be lost
            announced=False,  # nobody waits for it, and no append is to wait for its disk
        )
        self.head: ChainHead | None = None
        """As last committed here; None before the lock was got."""
        self._linked = self._told = ChainHead()
        self._told_at = float("-inf")

    def run(self, stop: Event) -> None:
        """Keeps the chain until `stop` is set. For a thread of its own."""
        self.follower.run(stop)
        self._tell_news()

    def look(self) -> None:
        """Looks at the log, and whether it is to stop, at once."""
        self._looks.give()

    def tell_when_due(self) -> None:
        """Puts the head into the log output where it has grown since it last was, and that is a while ago."""
        if time.monotonic() - self._told_at >= TOLD_HEAD_S:
            self._tell_news()

    def _begin(self, cursor: Cursor, position: int) -> None:
        """The chain itself says how far it reaches: a checkpoint that was lost is none of its concern. One ahead of it
        stays where it is, since then links are missing."""
        self.head = read_head(cursor)
        if self.head.position > position:
            cursor.execute(_SQL["catch_up"], {"name": FOLLOWER, "from": position, "to": self.head.position})
        self._tell_news()

    def _link(self, cursor: Cursor, batch: list[Recorded]) -> None:
        after, to = batch[0].position - 1, batch[-1].position
        if self.head is not None and self.head.position != after:
            raise BrokenChain(f"the last link ends at position {self.head.position}, and its follower is at {after}")
        row = cursor.execute(_SQL["link"], {"after": after, "to": to}, prepare=True).fetchone()
        if row is None:
            raise BrokenChain(f"an event is missing between positions {after + 1} and {to}")
        self._linked = ChainHead(to, row[0])

    def _committed(self, batch: list[Recorded]) -> None:
        self.head = self._linked
        if self.head.position - self._told.position >= TOLD_HEAD_EVENTS:
            self._tell_news()

    def _tell_news(self) -> None:
        if self.head is not None and self.head != self._told:
            log.info("hash chain: head %s", self.head)
            self._told, self._told_at = self.head, time.monotonic()
