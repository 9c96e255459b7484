"""Where the projections stand, for all reads of an API process that wait: one listener and one poll."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import psycopg

from orders.bounds import CONNECT_TIMEOUT_S, FIRST_BACKOFF_S, MAX_BACKOFF_S, POLL_INTERVAL_S
from orders.eventstore.connections import KEEPALIVE, TidyAsyncConnection
from orders.follower import CHANNEL
from projections.bounds import LISTEN_CHECK_S, MAX_WAITING_READS
from projections.errors import ReadError, TooManyReads
from projections.read_pool import SQL, ReadPool

log = logging.getLogger(__name__)

_Waiter = tuple[int, asyncio.Future[None]]


class Checkpoints:
    """The projections' positions as known here. A follower announces each batch by NOTIFY, which is a hint only; while
    somebody waits, the checkpoints are read at the poll interval too.

    `direct_url`: LISTEN needs a session, so no pooler.
    """

    def __init__(self, pool: ReadPool, direct_url: str) -> None:
        self._pool = pool
        self._direct_url = direct_url
        self._positions: dict[str, int] = {}
        self._waiters: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._awaited = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(_for_ever(work)) for work in (self._listen, self._poll)]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiters in self._waiters.values():
            for _, reached in waiters:
                reached.cancel()

    def position(self, projection: str) -> int:
        return self._positions.get(projection, 0)

    def correct(self, projection: str, position: int) -> None:
        """A query has seen the projection there, possibly before what was known: it is being rebuilt then."""
        self._positions[projection] = position

    async def wait_for(self, projection: str, position: int, timeout_s: float) -> bool:
        """Whether the projection reached the position within the time. Raises TooManyReads."""
        if self.position(projection) >= position:
            return True
        waiters = self._waiters[projection]
        if len(waiters) >= MAX_WAITING_READS:
            raise TooManyReads
        waiter = (position, asyncio.get_running_loop().create_future())
        waiters.add(waiter)
        self._awaited.set()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter[1]
            return True
        except TimeoutError:
            return False
        finally:
            waiters.discard(waiter)
            if not any(self._waiters.values()):
                self._awaited.clear()

    def _reached(self, projection: str, position: int) -> None:
        if position <= self.position(projection):
            return
        self._positions[projection] = position
        for wanted, reached in self._waiters[projection]:
            if wanted <= position and not reached.done():
                reached.set_result(None)

    async def _poll(self) -> None:
        while True:
            await self._awaited.wait()
            try:
                for name, position in await self._pool.rows(SQL["checkpoints"]):
                    self._reached(name, position)
            except ReadError as error:
                log.debug("checkpoints: %s", error)
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _listen(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                async with await TidyAsyncConnection.connect(
                    self._direct_url,
                    autocommit=True,
                    application_name="orders checkpoints",
                    connect_timeout=round(CONNECT_TIMEOUT_S),
                    **KEEPALIVE,
                ) as connection:
                    await connection.execute(f'listen "{CHANNEL}"')
                    backoff_s = FIRST_BACKOFF_S
                    while True:
                        await self._hear(connection)
            except (psycopg.Error, TimeoutError) as error:
                log.info("checkpoints: %s; polling meanwhile", str(error).strip() or "no answer")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S)

    async def _hear(self, connection: TidyAsyncConnection) -> None:
        """Takes what is announced; after a silence, asks whether the connection lives. Raises where it does not."""
        async with aclosing(connection.notifies(timeout=LISTEN_CHECK_S)) as announced:
            async for notify in announced:
                name, _, position = notify.payload.rpartition(":")
                with suppress(ValueError):
                    self._reached(name, int(position))
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await connection.execute("select 1")


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """Starts it again whatever ends it: without it reads would wait in vain for good."""
    while True:
        (error,) = await asyncio.gather(work(), return_exceptions=True)
        log.error("checkpoints: started again", exc_info=error)
        await asyncio.sleep(POLL_INTERVAL_S)
