"""How far a venue's reports are in the log."""

from __future__ import annotations

from typing import Any, Protocol

import psycopg

from exchange_adapter.venue import ReportPosition
from orders.eventstore.connections import BoundedConnection, connect, is_dead
from orders.eventstore.port import StoreUnavailable
from orders.eventstore.sql import load

_SQL = load("exchange_adapter", "reports.sql")


class ReportPositions(Protocol):
    """Blocking; raises StoreUnavailable."""

    def read(self) -> ReportPosition: ...

    def write(self, position: ReportPosition) -> None: ...


class PostgresReportPositions:
    """For one thread at a time."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._url = database_url
        self._venue = venue
        self._connection: BoundedConnection | None = None

    def read(self) -> ReportPosition:
        row = self._execute("read_position", {"venue": self._venue}).fetchone()
        return ReportPosition() if row is None else ReportPosition(row[0], row[1])

    def write(self, position: ReportPosition) -> None:
        self._execute("write_position", {"venue": self._venue, "source": position.source, "seq": position.seq})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _execute(self, statement: str, parameters: dict[str, object]) -> psycopg.Cursor[Any]:
        try:
            if self._connection is None or is_dead(self._connection):
                self._connection = connect(self._url, application_name="orders adapter reports")
            return self._connection.execute(_SQL[statement], parameters)
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailable(f"the position in the reports: {str(error).strip()}") from error
