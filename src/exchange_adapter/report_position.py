"""How far a venue's reports are in the log."""

from __future__ import annotations

from typing import Protocol

from exchange_adapter.venue import ReportPosition
from orders.eventstore.session import Session
from orders.eventstore.sql import load

_SQL = load("exchange_adapter", "reports.sql")


class ReportPositions(Protocol):
    """Blocking; raises StoreUnavailable."""

    def read(self) -> ReportPosition: ...

    def write(self, position: ReportPosition) -> None: ...


class PostgresReportPositions:
    """For one thread at a time. A position that is lost costs time: the reports after it are known by their ids."""

    def __init__(self, database_url: str, venue: str) -> None:
        self._venue = venue
        self._session = Session(database_url, "orders adapter reports", durable=False)

    def read(self) -> ReportPosition:
        rows = self._session.rows(_SQL["read_position"], {"venue": self._venue})
        return ReportPosition(*rows[0]) if rows else ReportPosition()

    def write(self, position: ReportPosition) -> None:
        moved = {"venue": self._venue, "source": position.source, "seq": position.seq}
        self._session.rows(_SQL["write_position"], moved)

    def close(self) -> None:
        self._session.close()
