"""One connection to our own database, opened when it is needed and again when it was lost."""

from __future__ import annotations

from typing import Any

import psycopg

from orders.eventstore.connections import BoundedConnection, connect, is_dead
from orders.eventstore.port import StoreUnavailable


class Session:
    """For one thread at a time. `durable`: its commits wait for the disk."""

    def __init__(self, database_url: str, application_name: str, *, durable: bool = True) -> None:
        self._url = database_url
        self._application_name = application_name
        self._durable = durable
        self._connection: BoundedConnection | None = None

    def rows(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Raises StoreUnavailable; whether the statement was carried out is not known then."""
        try:
            cursor = self._open().execute(statement, parameters)
            return cursor.fetchall() if cursor.description is not None else []
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailable(f"{self._application_name}: {str(error).strip()}") from error

    @property
    def backend_pid(self) -> int | None:
        """The server's number of the connection; None while there is none."""
        connection = self._connection
        return None if connection is None or connection.closed else connection.info.backend_pid

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> BoundedConnection:
        if self._connection is not None and is_dead(self._connection):
            self.close()
        if self._connection is None:
            self._connection = connect(self._url, application_name=self._application_name, durable=self._durable)
        return self._connection
