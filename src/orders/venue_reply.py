"""Waits, up to a bound, for the venue's reply to a cancel or replace."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from uuid import UUID

from orders.domain.order import Order
from orders.eventstore.port import Recorded
from orders.handlers import CommandHandler


class OrderChanges:
    """Tells waiters that an order has changed; fed with the live log, on the event loop. Memory: one entry a waiter."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._closed = False

    def close(self) -> None:
        """Nobody waits any longer."""
        self._closed = True
        for waiting in self._waiting.values():
            for changed in waiting:
                changed.set()

    def publish(self, batch: Iterable[Recorded]) -> None:
        if not self._waiting:
            return
        for recorded in batch:
            for changed in self._waiting.get(recorded.stream_id, ()):
                changed.set()

    async def until(
        self, handler: CommandHandler, order_id: UUID, settled: Callable[[Order], bool], timeout_s: float
    ) -> None:
        """Returns as soon as the order is `settled`, the time has run out, or the process is to end."""
        changed = asyncio.Event()
        self._waiting[order_id].add(changed)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while not settled(await handler.current(order_id)) and not self._closed:
                        await changed.wait()
                        changed.clear()
        finally:
            self._waiting[order_id].discard(changed)
            if not self._waiting[order_id]:
                del self._waiting[order_id]
