"""Records what was learned of an order, however long our own database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog

from exchange_adapter.bounds import DATABASE_RETRY_S
from exchange_adapter.reconciler import Stamp
from orders.domain.commands import Command
from orders.eventstore.port import StoreOverloaded, StoreUnavailable
from orders.handlers import CommandHandler, Done, MakeCommands

T = TypeVar("T")

log = structlog.get_logger(__name__)

BY = "exchange adapter"


class Recorder:
    """`new_id` makes the ids of commands, `utc` their times."""

    def __init__(
        self, handler: CommandHandler, *, new_id: Callable[[], UUID], utc: Callable[[], datetime], by: str = BY
    ) -> None:
        self._handler = handler
        self._new_id = new_id
        self._utc = utc
        self._by = by

    def stamp(self, order_id: UUID) -> Stamp:
        """Makes the fields that every command of the order has; no two commands share an id."""
        return lambda: {"order_id": order_id, "command_id": self._new_id(), "at": self._utc(), "by": self._by}

    async def record(self, order_id: UUID, commands: Sequence[Command]) -> Done:
        """All commands as one unit; see `record_all`."""
        return await self.record_all(order_id, lambda order: commands)

    async def record_all(self, order_id: UUID, make: MakeCommands) -> Done:
        """The commands that `make` gives for the order, as one unit. While the database is away it is tried again,
        until it works or the task is cancelled: the commands settle repeats by themselves.

        Raises: the first command's Refusal, UnknownOrder, StoreClosed, TooLarge.
        """
        return await self.persist(lambda: self._handler.execute_all(order_id, make), order_id=str(order_id))

    async def record_folded(self, made: Mapping[UUID, MakeCommands]) -> dict[UUID, Done]:
        """See `CommandHandler.execute_folded`; what is left out is for `record_all`. Raises StoreClosed, TooLarge."""
        return await self.persist(lambda: self._handler.execute_folded(made))

    async def persist(self, write: Callable[[], Awaitable[T]], **about: str) -> T:
        """Tries until the database takes it."""
        pause_s = DATABASE_RETRY_S[0]
        while True:
            try:
                return await write()
            except (StoreUnavailable, StoreOverloaded) as error:
                if pause_s == DATABASE_RETRY_S[0]:
                    log.warning("waits to be recorded", error=str(error), **about)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, DATABASE_RETRY_S[1])
