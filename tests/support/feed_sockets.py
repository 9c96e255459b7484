"""A WebSocket of the feed without a network: a client that reads, or does not."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from orders.domain.instruments import BUILT_IN
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from projections.bounds import MAX_FRAME_BYTES
from projections.feed import Subscription, Telling
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.feed_session import SocketGone, serve
from tests.support.waiting import wait_until_async


class FakeSocket:
    """`reads` is cleared for a client that does not read: sends then block, though what was handed over comes in the
    end, as with a real server, even if the sender has given up waiting. Where `has_room`, `make_room` lets everything
    out nevertheless. `leave()` ends the connection."""

    frame_bytes = MAX_FRAME_BYTES

    def __init__(self) -> None:
        self.has_room = False
        self.sent: list[dict[str, Any]] = []
        self.frames: list[int] = []
        self.kept_alive: list[int] = []
        self.closed: tuple[int, str] | None = None
        self.was_cut = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._incoming: asyncio.Queue[int | None] = asyncio.Queue()

    def say(self, length: int) -> None:
        self._incoming.put_nowait(length)

    def leave(self) -> None:
        self._incoming.put_nowait(None)

    @property
    def positions(self) -> list[int]:
        return [message["position"] for message in self.sent]

    async def begin(self, position: int) -> None:
        pass

    async def send(self, tellings: Sequence[Telling]) -> None:
        texts = [text for told in tellings for text in told.texts]
        self.frames.append(len(texts))
        self.sent += map(json.loads, texts)
        await self.reads.wait()

    async def keep_alive(self, position: int) -> None:
        self.kept_alive.append(position)

    async def receive(self) -> int:
        length = await self._incoming.get()
        if length is None:
            raise SocketGone
        return length

    async def close(self, code: int, reason: str, position: int) -> None:
        await self.reads.wait()
        self.closed = (code, reason)

    def make_room(self) -> None:
        if self.has_room:
            self.reads.set()

    def cut(self) -> None:
        self.was_cut = True


class FakeLive:
    """A live log that hands out what it is told to."""

    def __init__(self) -> None:
        self.position = 0

    def listen(self, callback: Any) -> Any:
        return lambda: None

    async def wait_for(self, position: int, timeout_s: float) -> bool:
        async def reached() -> bool:
            return self.position >= position

        with suppress(AssertionError):
            await wait_until_async(reached, within_s=timeout_s)
        return self.position >= position


class Studio:
    """A feed over a log in memory. `air()` hands out what was appended since."""

    def __init__(self, store: MemoryEventStore) -> None:
        self.store = store
        self.live = FakeLive()
        self.hub = FeedHub(self.live, BUILT_IN)
        self.hub.start()
        self.threads = ThreadPoolExecutor(1)
        self.reader = LogReader(store, self.threads, BUILT_IN)
        self._aired = 0
        self._sessions: list[asyncio.Task[None]] = []

    async def tune_in(self, **wanted: Any) -> FakeSocket:
        """A client that is served from now on."""
        socket = FakeSocket()
        self._sessions.append(asyncio.create_task(self.serve(socket, **wanted)))
        await self.settle()
        return socket

    async def serve(self, socket: FakeSocket, **wanted: Any) -> None:
        await serve(socket, Subscription(**wanted), self.hub, self.reader)

    async def air(self) -> list[Recorded]:
        batch = self.store.read_log(after=self._aired, limit=1_000_000)
        if batch:
            self.hub.publish(batch)
            self._aired = self.live.position = batch[-1].position
        await self.settle()
        return batch

    async def settle(self) -> None:
        """Lets every task run until it waits for something that is not here; reads of the log take a thread."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def end(self) -> None:
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        self.threads.shutdown()


async def closed(socket: FakeSocket) -> tuple[int, str]:
    async def code() -> tuple[int, str] | None:
        return socket.closed

    found = await wait_until_async(code, what="the close code")
    assert found is not None
    return found


async def received(socket: FakeSocket, count: int) -> list[dict[str, Any]]:
    async def enough() -> bool:
        return len(socket.sent) >= count

    await wait_until_async(enough, what=f"{count} messages, not {len(socket.sent)}")
    assert len(socket.sent) == count
    return socket.sent


async def clients_left(studio: Studio, clients: int) -> bool:
    return studio.hub.clients == clients
