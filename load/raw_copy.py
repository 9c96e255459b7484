"""What appending costs at the least: raw binary COPY of the very same rows into a table of the same shape."""

from __future__ import annotations

import time
from importlib.resources import files
from types import TracebackType
from typing import Self

import psycopg

COLUMNS = "notification_id, originator_id, originator_version, topic, state"
BATCH_ROWS = 1_000  # a commit: as many as the adapter takes reports at once


class RawCopy:
    """Rows in the schema `copied`, with the log's own constraints, indexes and trigger; each commit is on the disk."""

    def __init__(self, database_url: str) -> None:
        self._connection = psycopg.connect(database_url, autocommit=True)
        if self._connection.execute("select setting from pg_settings where name = 'fsync'").fetchone() != ("on",):
            raise RuntimeError("the database does not wait for the disk")
        self._connection.execute("set synchronous_commit = on")
        self._connection.execute("create schema copied")
        log = files("order_service.migrations").joinpath("0001_event_log.sql").read_text(encoding="utf-8")
        shape, _, _ = log.partition("-- Appends units")
        self._connection.execute(shape.replace("public.", "copied."))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def rows_per_second(self, after: int, last: int, *, batch_rows: int = BATCH_ROWS) -> float:
        """Copies the events at these positions. They are read before the clock runs, as the bytes that COPY takes."""
        batches = [self._bytes(start, min(start + batch_rows, last)) for start in range(after, last, batch_rows)]
        began = time.perf_counter()
        for batch in batches:
            with self._connection.cursor().copy(
                f"copy copied.order_events ({COLUMNS}) from stdin (format binary)"
            ) as copy:
                copy.write(batch)
        return (last - after) / (time.perf_counter() - began)

    def _bytes(self, after: int, last: int) -> bytes:
        within = f"notification_id > {after:d} and notification_id <= {last:d} order by notification_id"
        rows = f"select {COLUMNS} from public.order_events where {within}"
        with self._connection.cursor().copy(f"copy ({rows}) to stdout (format binary)") as copy:
            return b"".join(bytes(part) for part in copy)

    def differences(self, after: int) -> int:
        """Events after a position that are not in the copy, or are another there."""
        found = self._connection.execute(
            f"select count(*) from (select {COLUMNS} from public.order_events where notification_id > %s"
            f" except select {COLUMNS} from copied.order_events) as missing",
            (after,),
        ).fetchone()
        assert found is not None
        return int(found[0])
