"""The log and its chain in batches of bounded size, as they are stored, for a check: nothing is decoded here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from msgspec import Struct

from orders.bounds import ANSWER_GRACE_S, CHECK_LINKS, CHECK_STATEMENT_S, READ_BATCH_EVENTS
from orders.eventstore.connections import connect
from orders.eventstore.sql import load
from orders.hash_chain import FOLLOWER

_SQL = load("orders.log_check", "log_check.sql")

_BEFORE_ALL = UUID(int=0)


class Row(Struct, frozen=True):
    """An event as it is stored."""

    position: int
    order_id: UUID
    version: int
    topic: str
    state: bytes


class Link(Struct, frozen=True):
    first_position: int
    last_position: int
    previous: bytes
    event_digests: bytes
    hash: bytes


class Reach(Struct, frozen=True):
    """Where the log, the chain and the chain's follower end, at one moment; and at which event the follower has
    stopped, if it has."""

    head: int
    chain: int
    follower: int
    stopped_at: int | None
    reason: str | None

    @property
    def uncovered(self) -> int:
        """Events that the chain does not cover yet."""
        return max(0, self.head - self.chain)


class LogRows:
    """Events up to the head that the log had when the check began, whatever is appended meanwhile. Each batch is a
    statement of its own: no transaction stays open."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.reach = Reach(*self._rows("reach", {"name": FOLLOWER})[0])

    def by_position(self) -> Iterator[Row]:
        after = 0
        while batch := self._rows("by_position", {"after": after, "to": self.reach.head, "limit": READ_BATCH_EVENTS}):
            yield from (Row(*row) for row in batch)
            after = batch[-1][0]

    def by_order(self) -> Iterator[Row]:
        """Order by order, each by version."""
        stream_id, version = _BEFORE_ALL, 0
        bounds: dict[str, object] = {"to": self.reach.head, "limit": READ_BATCH_EVENTS}
        while batch := self._rows("by_order", {**bounds, "stream_id": stream_id, "version": version}):
            yield from (Row(*row) for row in batch)
            _, stream_id, version, *_ = batch[-1]

    def links(self) -> Iterator[Link]:
        after = 0
        while batch := self._rows("links", {"after": after, "to": self.reach.chain, "limit": CHECK_LINKS}):
            yield from (Link(*row) for row in batch)
            after = batch[-1][1]

    def _rows(self, statement: str, params: Mapping[str, Any]) -> list[Any]:
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(_SQL[statement], params, prepare=True).fetchall()


@contextmanager
def checking_connection(direct_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that only reads, with room for long reads. Raises psycopg.Error."""
    with connect(direct_url, application_name="orders verify") as connection:
        connection.execute(_SQL["session"], {"statement_ms": str(round(CHECK_STATEMENT_S * 1000))})
        connection.answer_within_s = CHECK_STATEMENT_S + ANSWER_GRACE_S
        yield connection
