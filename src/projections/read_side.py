"""The reads of an API process, put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct

from orders.domain.instruments import Catalogue
from orders.eventstore.port import EventStore
from orders.eventstore.read_threads import ReadThreads
from projections.checkpoints import Checkpoints
from projections.freshness import Freshness
from projections.order_reads import OrderReads
from projections.read_pool import ReadPool
from projections.reads import Reads


class ReadSide(Struct, frozen=True):
    """Start it on the event loop that reads; neither call waits for the database."""

    reads: Reads
    order_reads: OrderReads
    pool: ReadPool
    checkpoints: Checkpoints

    async def start(self) -> None:
        await self.pool.open()
        await self.checkpoints.start()

    async def close(self) -> None:
        await self.checkpoints.close()
        await self.pool.close()


def read_side(
    database_url: str,
    direct_url: str,
    store: EventStore,
    catalogue: Catalogue,
    threads: ReadThreads,
    committed: Callable[[], int],
    known: Callable[[], int],
    now: Callable[[], datetime],
) -> ReadSide:
    """`committed()` is the highest position that this process has committed, `known()` the highest that it knows of;
    reads of the store run in `threads`; `now()` tells what is past."""

    async def head() -> int:
        return await threads.run(store.head)

    pool = ReadPool(database_url, prepare=database_url == direct_url)
    checkpoints = Checkpoints(pool, direct_url)
    freshness = Freshness(checkpoints, committed, known, head)
    return ReadSide(
        Reads(pool, freshness, catalogue, known),
        OrderReads(store, freshness, catalogue, threads, now),
        pool,
        checkpoints,
    )
