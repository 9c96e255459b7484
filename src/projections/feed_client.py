"""A client of the feed as the hub sees it: a bounded queue, and how it is to end."""

from __future__ import annotations

import asyncio
from collections import deque

from msgspec import Struct

from projections.bounds import MAX_CLIENT_QUEUE, MAX_CLIENT_QUEUE_BYTES
from projections.feed import Entry, Subscription

TOO_SLOW = 4408
WRONG_PARAMETER = 4422
GOING_DOWN = 1012  # service restart (IANA's registry of close codes)
FULL = 1013  # try again later
MISBEHAVED = 1008
BROKEN = 1011


class Ending(Struct, frozen=True):
    """A WebSocket close code and its reason."""

    code: int
    reason: str


class FeedClient:
    """For the event loop's own thread. `sent`: everything for this client up to here was handed to its socket, or came
    before what it asked for."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.sent = 0
        self.ending: Ending | None = None
        self.ended = asyncio.Event()
        self._after = 0
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._filled = asyncio.Event()

    def starts_after(self, position: int) -> None:
        """It has, or does not want, what came up to there."""
        self._after = self.sent = position

    def offer(self, entry: Entry) -> None:
        """Queues what the client wants; it is to end where it falls too far behind by that."""
        if entry.position <= self._after or self.ending is not None:
            return
        self._queued_bytes += len(entry.text)
        self._queue.append(entry)
        self._filled.set()
        if len(self._queue) > MAX_CLIENT_QUEUE or self._queued_bytes > MAX_CLIENT_QUEUE_BYTES:
            self.end(TOO_SLOW)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._queue

    async def next(self) -> Entry | None:
        """The oldest entry in the queue, as soon as there is one; None where the client is to end."""
        while not self._queue:
            if self.ending is not None:
                return None
            self._filled.clear()
            await self._filled.wait()
        entry = self._queue.popleft()
        self._queued_bytes -= len(entry.text)
        return entry

    def end(self, code: int, reason: str = "") -> None:
        """Asks for the end, once; what is queued is dropped."""
        if self.ending is None:
            self.ending = Ending(code, reason)
            self._queue.clear()
            self._queued_bytes = 0
            self.ended.set()
            self._filled.set()
