"""A client of the feed that is cut again and again, resumes each time, and remembers what it saw."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from load.feed_wire import FeedWire

AGAIN_S = 0.2  # after a refusal or a close that it did not ask for
SOON_S = 0.02
CUT_WITHIN_S = 0.3  # where no messages come any more, it is cut after this long at most


Seen = tuple[int, str, str]
"""Of a message: its position, its kind (the event's name, or the type of a trade's message), the order's status."""
_known: dict[Seen, Seen] = {}


def seen_as(position: int, kind: str, status: str) -> Seen:
    """One tuple for all clients that see the message: there are a million."""
    return _known.setdefault(seen := (position, kind, status), seen)


class Message(Struct, frozen=True):
    """What the campaign needs of a message. Of an order, `type` is market or limit."""

    type: str
    position: int
    event: str = ""
    status: str = ""
    more: bool = False
    time: datetime | None = None


_decoder = msgspec.json.Decoder(Message | list[Message])
_UNPLACED = ("caught_up", "heartbeat", "fell_behind")


class Listener:
    """Sees its part of the log from the beginning. `seen` has each message, and only those of complete positions: what
    a cut leaves of one is forgotten, as `more` says. `backwards` has what came after a later position on the same
    connection."""

    def __init__(
        self,
        query: str,
        ports: Sequence[int],
        rng: random.Random,
        *,
        cuts: int,
        mean: int,
        wire: type[FeedWire] = FeedWire,
    ) -> None:
        self.query = query
        self.seen: list[Seen] = []
        self.backwards: list[str] = []
        self.cuts = 0
        self.ends: Counter[str] = Counter()
        self.latencies_s: list[float] | None = None
        self._ports = ports
        self._rng = rng
        self._cuts = cuts
        self._mean = max(1, mean)
        self._resume = 0
        self._begun: list[Seen] = []
        self._reached = 0
        self._opens = wire
        self._caught_up = -1
        self._until_cut = -1
        self._wire: FeedWire | None = None
        self._cut_now = asyncio.Event()
        self._told = asyncio.Event()

    async def run(self, flowed: asyncio.Event, head: asyncio.Future[int]) -> None:
        """Until it was cut as often as it should and has, after all that flowed, everything up to `head`."""
        while self.cuts < self._cuts:
            await self._listen_until_cut(flowed)
        await self._listen_to(await head)

    async def stay(self) -> None:
        """Stays connected, live, until it is canceled or closed."""
        wire = await self._connected()
        try:
            end = await wire.ended
            self.ends[f"{end.code} {end.reason.split(':')[0]}".strip()] += 1
        finally:
            wire.cut()

    async def _listen_until_cut(self, flowed: asyncio.Event) -> None:
        # From none at all, so that some cuts meet the handshake or the catching up.
        self._until_cut = self._rng.randrange(2 * self._mean)
        self._cut_now.clear()
        if not self._until_cut:
            self._cut_now.set()
        wire = await self._connected()
        cut = asyncio.create_task(self._time_to_cut(flowed))
        try:
            await asyncio.wait((cut, wire.ended), return_when=asyncio.FIRST_COMPLETED)
            if wire.ended.done() and not wire.was_cut:
                await self._was_closed(wire)
            else:
                self.cuts += 1
        finally:
            cut.cancel()
            wire.cut()
            self._begun.clear()

    async def _time_to_cut(self, flowed: asyncio.Event) -> None:
        waits = (asyncio.create_task(self._cut_now.wait()), asyncio.create_task(flowed.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            await _pause(self._rng.uniform(0, CUT_WITHIN_S if flowed.is_set() else SOON_S))
        finally:
            for wait in waits:
                wait.cancel()

    async def _listen_to(self, head: int) -> None:
        self._until_cut = -1
        while self._caught_up < head:
            wire = await self._connected()
            told = asyncio.create_task(self._told_of(head))
            try:
                await asyncio.wait((told, wire.ended), return_when=asyncio.FIRST_COMPLETED)
                if wire.ended.done():
                    await self._was_closed(wire)
            finally:
                told.cancel()
                wire.cut()
                self._begun.clear()

    async def _told_of(self, head: int) -> None:
        while self._caught_up < head:
            self._told.clear()
            await self._told.wait()

    async def _connected(self) -> FeedWire:
        while True:
            self._reached = self._resume
            port = self._ports[(self.cuts + sum(self.ends.values())) % len(self._ports)]
            try:
                self._wire = await self._opens.open(port, f"{self.query}&after={self._resume}", self._hear)
            except OSError as error:
                self.ends[type(error).__name__] += 1
                await _pause(AGAIN_S)
            else:
                return self._wire

    async def _was_closed(self, wire: FeedWire) -> None:
        end = wire.ended.result()
        self.ends[f"{end.code} {end.reason.split(':')[0]}".strip()] += 1
        await _pause(AGAIN_S)

    def _hear(self, text: bytes) -> None:
        told = _decoder.decode(text)
        for message in told if isinstance(told, list) else (told,):
            self._take(message)
            if not self._until_cut:
                self._cut_now.set()
                assert self._wire is not None
                self._wire.cut()
                return

    def _take(self, message: Message) -> None:
        if message.position < self._reached:
            self.backwards.append(f"{message.event or message.type} {message.position} after {self._reached}")
        if not message.more:
            self._reached = max(self._reached, message.position)
        if message.type in _UNPLACED:
            if message.type == "caught_up":
                self._caught_up = message.position
                self._told.set()
            return
        self._begun.append(seen_as(message.position, message.event or message.type, message.status))
        if not message.more:
            self.seen.extend(self._begun)
            self._begun.clear()
            self._resume = message.position
        if self.latencies_s is not None and message.time is not None:
            self.latencies_s.append((datetime.now(UTC) - message.time).total_seconds())
        if self._until_cut > 0:
            self._until_cut -= 1


async def _pause(seconds: float) -> None:
    """A moment without anything to wait for: the cut is to fall somewhere within."""
    await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=seconds)
