"""Reads that keep their word: an answer holds what this process has committed and what the client asks for.

It waits for that, up to a bound, and refuses when the wait runs out: never an old answer passed off as new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orders.bounds import POLL_INTERVAL_S
from orders.domain.errors import FieldError
from orders.parameters import Asked
from orders.request_errors import InvalidParameters
from projections.checkpoints import Checkpoints
from projections.errors import NotCaughtUp, TablesMissing
from projections.queries import Answer

T = TypeVar("T")


class Freshness:
    """`committed()` is the highest position that this process has committed, `known()` the highest that it has heard
    of; `head()` reads the log's last one."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        committed: Callable[[], int],
        known: Callable[[], int],
        head: Callable[[], Awaitable[int]],
    ) -> None:
        self._checkpoints = checkpoints
        self._committed = committed
        self._known = known
        self._head = head
        self._head_at_start: int | None = None
        self._answered: dict[str, int] = {}

    async def require(self, asked: Asked) -> int:
        """The position that an answer straight from the log may claim at least. Raises InvalidParameters beyond its
        head."""
        known, wanted = self._committed(), asked.min_position or 0
        await self.check_exists("min_position", wanted)
        return max(known, wanted)

    async def check_exists(self, parameter: str, position: int) -> None:
        """Raises InvalidParameters where the position, given as this parameter, is beyond the log's head."""
        if position <= self._known():
            return
        head = await self._head()
        if position > head:
            text = f"Position {position} is beyond the log's last position {head}"
            raise InvalidParameters([FieldError(parameter, text)])

    async def read(self, projection: str, asked: Asked, query: Callable[[], Awaitable[Answer[T]]]) -> Answer[T]:
        """The query's answer, as soon as it is fresh enough; with wait_ms=0 what is there.

        Raises: InvalidParameters, NotCaughtUp, TooManyReads, ReadsUnavailable.
        """
        required = await self.require(asked)
        if asked.wait_ms == 0:
            return await query()
        return await self._when_there(projection, max(required, await self._floor(projection)), asked.wait_ms, query)

    async def read_as_of(
        self, projection: str, as_of: int, asked: Asked, query: Callable[[], Awaitable[Answer[T]]]
    ) -> Answer[T]:
        """The query's answer, of tables that hold the log up to `as_of` at least, whatever was written since; with less
        they would not show what was, so that with wait_ms=0 it is refused then.

        Raises: as `read`; InvalidParameters also where `as_of` is beyond the log's head.
        """
        await self.require(asked)
        await self.check_exists("as_of", as_of)
        if asked.wait_ms:
            return await self._when_there(projection, as_of, asked.wait_ms, query)
        answer = await query()
        if answer.position < as_of:
            raise NotCaughtUp(projection, as_of)
        return answer

    async def reached(self, follower: str, asked: Asked) -> int:
        """The position that the tables of a follower hold at least: `min_position`, or with wait_ms=0 what is known.
        Without `min_position` nothing waits: who asks so wants to see what is there, also when the follower stands.

        Raises: InvalidParameters, NotCaughtUp, TooManyReads.
        """
        await self.require(asked)
        wanted = asked.min_position
        if wanted is not None and asked.wait_ms:
            if not await self._checkpoints.wait_for(follower, wanted, asked.wait_ms / 1000):
                raise NotCaughtUp(follower, wanted)
            return max(wanted, self._checkpoints.position(follower))
        return self._checkpoints.position(follower)

    async def _when_there(
        self, projection: str, wanted: int, wait_ms: int, query: Callable[[], Awaitable[Answer[T]]]
    ) -> Answer[T]:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + wait_ms / 1000
        while True:
            left_s = give_up_at - loop.time()
            if left_s <= 0 or not await self._checkpoints.wait_for(projection, wanted, left_s):
                raise NotCaughtUp(projection, wanted)
            position = 0
            try:
                answer = await query()
                position = answer.position
            except TablesMissing:
                pass
            else:
                if position >= wanted:
                    self._answered[projection] = max(position, self._answered.get(projection, 0))
                    return answer
            # It was thrown back to be filled again. The pause keeps this from turning hot, whatever the reason is.
            self._checkpoints.correct(projection, position)
            await asyncio.sleep(min(POLL_INTERVAL_S, max(0.0, give_up_at - loop.time())))

    async def _floor(self, projection: str) -> int:
        """No answer is older than what was there when this process started, nor than an answer that it gave."""
        if self._head_at_start is None:
            self._head_at_start = await self._head()
        return max(self._head_at_start, self._answered.get(projection, 0))
