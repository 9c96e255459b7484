"""Reports whose order has appeared are matched order by order: what is wrong with one keeps no other out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from exchange_adapter import rematching as rematching_module
from exchange_adapter.rematching import Noted, Rematching
from orders.domain.values import Phase
from orders.eventstore.port import BrokenLog, EventStoreError, Recorded, StoreUnavailable, UnknownEvent
from tests.support.adapter_floor import Floor, on_floor
from tests.support.report_reading import Reading
from tests.support.virtual_time import InlineExecutor, pass_time


class NotedRows:
    """The table, in memory."""

    def __init__(self, rows: Sequence[Noted]) -> None:
        self.rows = list(rows)

    def appeared(self, after: int, limit: int) -> list[Noted]:
        return [row for row in self.rows if row.position > after][:limit]

    def remove(self, positions: Sequence[int]) -> None:
        self.rows = [row for row in self.rows if row.position not in positions]


async def noted(floor: Floor, reading: Reading, order_ids: Sequence[UUID]) -> NotedRows:
    """A fill of each order, kept aside though its order is there."""
    await reading.reader._unmatched.keep([reading.journal.fill(order_id) for order_id in order_ids], "journal-0")
    kept = floor.store.read_stream(reading.venue_stream)
    return NotedRows([Noted(order_id, one.position) for order_id, one in zip(order_ids, kept, strict=True)])


async def match(floor: Floor, reading: Reading, rows: NotedRows, seconds: float) -> None:
    stop = asyncio.Event()
    rematching = Rematching(rows, floor.store, reading.reader.record_order, InlineExecutor())
    rematching.own(True)
    task = floor.loop.create_task(rematching.run(stop))
    await pass_time(seconds)
    stop.set()
    await task


@pytest.mark.parametrize("error", [UnknownEvent("OrderPlaced.v9"), BrokenLog("7 is missing")])
def test_an_order_that_cannot_be_read_keeps_no_other_out(
    error: EventStoreError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rematching_module, "REMATCH_BATCH", 1)

    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(4)
        spoilt = order_ids[0]
        rows = await noted(floor, reading, order_ids)
        read_stream, readable = floor.store.read_stream, asyncio.Event()

        def read(stream_id: UUID, **bounds: int) -> list[Recorded]:
            if stream_id == spoilt and not readable.is_set():
                raise error
            return read_stream(stream_id, **bounds)

        monkeypatch.setattr(floor.store, "read_stream", read)
        with capture_logs() as logs:
            await match(floor, reading, rows, 10.0)
        assert all(floor.order(other).phase is Phase.FILLED for other in order_ids[1:])
        assert [row.order_id for row in rows.rows] == [spoilt]
        assert len([line for line in logs if line["log_level"] == "error"]) == 1
        readable.set()
        await match(floor, reading, rows, 10.0)
        assert floor.order(spoilt).phase is Phase.FILLED
        assert not rows.rows

    on_floor(test)


def test_an_outage_of_the_database_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(floor: Floor) -> None:
        reading, order_ids = Reading(floor), floor.client.place(2)
        rows = await noted(floor, reading, order_ids)
        read_log, away = floor.store.read_log, [StoreUnavailable("away")] * 3

        def read(*, after: int, limit: int) -> list[Recorded]:
            if away:
                raise away.pop()
            return read_log(after=after, limit=limit)

        monkeypatch.setattr(floor.store, "read_log", read)
        await match(floor, reading, rows, 10.0)
        assert all(floor.order(order_id).phase is Phase.FILLED for order_id in order_ids)
        assert not rows.rows

    on_floor(test)
