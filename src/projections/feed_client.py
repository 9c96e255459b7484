"""A client of the feed as the hub sees it: a bounded queue, and how it is to end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from projections.bounds import MAX_CLIENT_QUEUE, MAX_CLIENT_QUEUE_BYTES, MAX_FRAME_MESSAGES
from projections.feed import Entry, Subscription, Telling

TOO_SLOW = 4408
WRONG_PARAMETER = 4422
NOT_AUTHENTICATED = 4401
NOT_PERMITTED = 4403
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
    before what it asked for. `behind`: its queue ran over and was dropped; the log has the rest."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.sent = 0
        self.behind = False
        self.ending: Ending | None = None
        self.ended = asyncio.Event()
        self._after = 0
        self._taken = 0  # the last position that left the queue, or was passed over
        self._held_at: int | None = None
        self._queue: deque[Telling] = deque()
        self._queued_bytes = 0
        self._filled = asyncio.Event()

    def starts_after(self, position: int) -> None:
        """It has, or does not want, what came up to there."""
        self._after = self._taken = self.sent = position
        self.behind = False

    def passes(self, position: int) -> None:
        """From now on nothing of an earlier position may leave the queue."""
        self._taken = max(self._taken, position)

    def has_heard(self, position: int) -> None:
        """Everything up to there was handed to its socket."""
        self._taken, self.sent = max(self._taken, position), max(self.sent, position)

    def offer(self, entry: Entry) -> None:
        """Queues what the client wants. Where it falls too far behind by that, it goes back to the log, or is to end if
        it never asked for a position."""
        if entry.position <= self._after or self.ending is not None or self.behind:
            return
        if (told := entry.telling(self.subscription)) is not None:
            self.queue((told,))
            if self._held_at is not None and self._fills(0.5):
                self.release()
            self._bound()

    def queue(self, tellings: Iterable[Telling]) -> None:
        """Behind all that is queued; for more than a few the caller has a bound."""
        for told in tellings:
            self._queue.append(told)
            self._queued_bytes += told.size_bytes
        self._filled.set()

    def insert(self, snapshot: Telling) -> bool:
        """Queues it behind all that came up to its position. False where something later has left the queue already:
        positions never go back."""
        if self._taken > snapshot.position:
            return False
        if self.ending is None and not self.behind:
            place = len(self._queue)
            while place and self._queue[place - 1].position > snapshot.position:
                place -= 1
            self._queue.insert(place, snapshot)
            self._queued_bytes += snapshot.size_bytes
            self._filled.set()
            self._bound()
        return True

    def hold(self, position: int) -> None:
        """Nothing later than that leaves the queue until `release`, or until it is half full: who only waits for a book
        does not fall behind by that."""
        self._held_at = position

    def release(self) -> None:
        self._held_at = None
        self._filled.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self._queue

    def take(self, most_bytes: int) -> list[Telling]:
        """The oldest in the queue, several where the client wants that; empty where there is nothing."""
        most = MAX_FRAME_MESSAGES if self.subscription.batch else 1
        taken: list[Telling] = []
        size_bytes = 0
        while self._ready and len(taken) < most:
            size_bytes += self._queue[0].size_bytes
            if taken and size_bytes > most_bytes:
                break
            taken.append(self._queue.popleft())
        if taken:
            self._queued_bytes -= sum(told.size_bytes for told in taken)
            self._taken = taken[-1].position
        return taken

    async def wait(self) -> None:
        """Until there is something to take, or the client is behind or to end."""
        while not self._ready and not self.behind and self.ending is None:
            self._filled.clear()
            await self._filled.wait()

    def end(self, code: int, reason: str = "") -> None:
        """Asks for the end, once; what is queued is dropped."""
        if self.ending is None:
            self.ending = Ending(code, reason)
            self.drop()
            self.ended.set()

    @property
    def _ready(self) -> bool:
        return bool(self._queue) and (self._held_at is None or self._queue[0].position <= self._held_at)

    def _fills(self, share: float) -> bool:
        """Whether the queue holds more than that share of its bounds."""
        return len(self._queue) > MAX_CLIENT_QUEUE * share or self._queued_bytes > MAX_CLIENT_QUEUE_BYTES * share

    def _bound(self) -> None:
        if not self._fills(1):
            return
        if self.subscription.after is None:
            self.end(TOO_SLOW, "too slow")
        else:
            self.behind = True
            self.drop()

    def drop(self) -> None:
        """What is queued."""
        self._queue.clear()
        self._queued_bytes = 0
        self._filled.set()
