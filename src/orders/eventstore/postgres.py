"""The event log in PostgreSQL, on the table and the recorder of the eventsourcing package.

`LogRecorder` is that recorder with an `insert_events` of ours: one call of the SQL function append_events
(migrations/0001_event_log.sql), where the package locks the table, leaves holes and retries unknown commits by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.postgres import ConnectionPool, PostgresApplicationRecorder, PostgresDatastore
from psycopg.rows import DictRow, dict_row, tuple_row

from orders.bounds import (
    APPEND_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    MAX_STREAM_READ,
    READ_CONNECTIONS,
)
from orders.eventstore import codec
from orders.eventstore.append_session import AppendSession
from orders.eventstore.connections import KEEPALIVE, BoundedConnection, check_alive, configure, unavailable
from orders.eventstore.port import (
    Appended,
    Conflict,
    EncodedUnit,
    Recorded,
    StoreClosed,
    Unit,
    check_units,
)
from orders.eventstore.sql import load

_SQL = load("orders.eventstore", "postgres.sql")

TABLE = "order_events"
CHANNEL = "order_events"
"""Where append_events announces a new head."""


class LogDatastore(PostgresDatastore):
    """The package's datastore over bounded connections to a URL. Errors come out as StoreUnavailable, which keeps the
    package's own retries out of the way: ten of them may take a minute."""

    def __init__(self, url: str, *, application_name: str, prepare: bool) -> None:
        self._closed = False
        self._opening = Lock()
        self.prepare = prepare
        super().__init__(dbname="", host="", port="", user="", password="")
        self.pool = cast(
            "ConnectionPool[psycopg.Connection[DictRow]]",
            ConnectionPool(
                url,
                connection_class=BoundedConnection,
                kwargs={
                    "autocommit": True,
                    "application_name": application_name,
                    "connect_timeout": round(CONNECT_TIMEOUT_S),
                    "row_factory": dict_row,  # what the package's own reads expect
                    **KEEPALIVE,
                },
                min_size=0,
                max_size=READ_CONNECTIONS,
                max_waiting=READ_CONNECTIONS * 64,
                timeout=CONNECT_TIMEOUT_S,
                reconnect_timeout=CONNECT_TIMEOUT_S,
                configure=configure,
                check=check_alive,
                open=False,
            ),
        )

    def register_type_adapters(self) -> None:
        """The stored types are PostgreSQL's own; making a recorder does no I/O."""

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[DictRow]]:
        with self._opening:
            if self._closed:
                raise StoreClosed("the store is closed")
            self.pool.open()
        try:
            with self.pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise unavailable(error, "reading the log") from error

    def close(self) -> None:
        with self._opening:
            self._closed = True
        super().close()


class LogRecorder(PostgresApplicationRecorder):
    """The package's recorder on our table. Its reads work as they are; the store has faster ones of its own."""

    def __init__(self, datastore: LogDatastore, session: AppendSession) -> None:
        super().__init__(datastore, events_table_name=TABLE)
        self._session = session

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """One stream's events, whole. Raises IntegrityError where the stream has moved on, EventStoreError."""
        if not stored_events:
            return []
        first = stored_events[0]
        unit = EncodedUnit(
            cast(UUID, first.originator_id),
            first.originator_version - 1,
            tuple(event.topic for event in stored_events),
            tuple(event.state for event in stored_events),
            sum(len(event.state) for event in stored_events),
        )
        expected = [(first.originator_id, first.originator_version + n) for n in range(len(stored_events))]
        if [(event.originator_id, event.originator_version) for event in stored_events] != expected:
            raise IntegrityError("one call takes consecutive versions of one stream")
        answer = self._session.append([unit], time.monotonic() + APPEND_TIMEOUT_S)[0]
        if isinstance(answer, Conflict):
            raise IntegrityError(f"stream {first.originator_id} is not at version {unit.expected_version}")
        return range(answer.position, answer.last_position + 1)


class PostgresEventStore:
    """`EventStore` over PostgreSQL 14 or newer, migrated. Making one does no I/O.

    `direct_url` leads to the same database without a pooler; without it `database_url` is used for all.
    """

    def __init__(self, database_url: str, *, direct_url: str | None = None, application_name: str = "orders") -> None:
        # Statements prepared by name belong to a session, which a pooler gives to others.
        prepare = direct_url is None or direct_url == database_url
        self._session = AppendSession(direct_url or database_url, f"{application_name} append")
        self._datastore = LogDatastore(database_url, application_name=application_name, prepare=prepare)
        self.recorder = LogRecorder(self._datastore, self._session)

    def append(self, units: Sequence[Unit]) -> list[Appended | Conflict]:
        return self.append_encoded([codec.encode_unit(unit) for unit in units])

    def append_encoded(
        self, units: Sequence[EncodedUnit], *, timeout_s: float = APPEND_TIMEOUT_S
    ) -> list[Appended | Conflict]:
        check_units(units)
        if not units:
            return []
        return self._session.append(units, time.monotonic() + timeout_s)

    def read_stream(self, stream_id: UUID, *, after_version: int = 0, limit: int | None = None) -> list[Recorded]:
        limit = MAX_STREAM_READ if limit is None else limit
        return self._read("read_stream", stream_id, after_version, limit)

    def read_last(self, stream_id: UUID, *, as_of_position: int | None = None) -> Recorded | None:
        if as_of_position is None:
            found = self._read("read_last", stream_id)
        else:
            found = self._read("read_last_as_of", stream_id, as_of_position)
        return found[0] if found else None

    def read_log(self, *, after: int, limit: int) -> list[Recorded]:
        return self._read("read_log", after, limit)

    def head(self) -> int:
        ((position,),) = self._rows("head")
        return int(position)

    def close(self) -> None:
        self._session.close()
        self._datastore.close()

    def _read(self, statement: str, *params: object) -> list[Recorded]:
        decode = codec.decode
        return [
            Recorded(position, stream_id, version, decode(topic, state))
            for position, stream_id, version, topic, state in self._rows(statement, *params)
        ]

    def _rows(self, statement: str, *params: object) -> list[Any]:
        prepare = self._datastore.prepare
        with self._datastore.get_connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(_SQL[statement], params, prepare=prepare, binary=True).fetchall()
