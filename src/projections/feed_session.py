"""One WebSocket of the feed, from its first message to its close code.

Three things race: the client goes, something is to be sent, the hub wants the end. None waits for another, so that a
client that does not read delays nobody, the shutdown least of all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Protocol, TypeVar

from orders.eventstore.port import EventStore, EventStoreError, Recorded
from projections.bounds import (
    CLIENT_MESSAGES_S,
    CLOSE_TIMEOUT_S,
    HEARTBEAT_S,
    MAX_CLIENT_MESSAGE,
    MAX_CLIENT_MESSAGES,
    MAX_CLOSE_REASON_BYTES,
    MAX_REPLAY_READS,
    REPLAY_PAGE,
    SEND_TIMEOUT_S,
    SLOW_CLOSE_TIMEOUT_S,
)
from projections.feed import Subscription, caught_up, entries, heartbeat
from projections.feed_client import (
    BROKEN,
    GOING_DOWN,
    MISBEHAVED,
    TOO_SLOW,
    WRONG_PARAMETER,
    Ending,
    FeedClient,
)
from projections.feed_hub import FeedHub

log = logging.getLogger(__name__)

T = TypeVar("T")


class SocketGone(Exception):
    """The client's connection has ended."""


class FeedSocket(Protocol):
    """An accepted WebSocket. Each method raises SocketGone where the connection has ended."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> int:
        """Waits for a message from the client; its length."""
        ...

    async def close(self, code: int, reason: str) -> None: ...


class LogReader:
    """Pages of the log for clients that catch up, a few at once."""

    def __init__(self, store: EventStore, threads: Executor) -> None:
        self._store = store
        self._threads = threads
        self._turns = asyncio.Semaphore(MAX_REPLAY_READS)

    async def head(self) -> int:
        return await self._in_thread(self._store.head)

    async def page(self, after: int) -> list[Recorded]:
        return await self._in_thread(lambda: self._store.read_log(after=after, limit=REPLAY_PAGE))

    async def _in_thread(self, read: Callable[[], T]) -> T:
        async with self._turns:
            return await asyncio.get_running_loop().run_in_executor(self._threads, read)


async def serve(socket: FeedSocket, subscription: Subscription, hub: FeedHub, reader: LogReader) -> None:
    """Until the client goes, or is closed."""
    client = FeedClient(subscription)
    hub.join(client)
    try:
        can_hear = await _run(socket, client, hub, reader)
        if client.ending is not None and can_hear:
            await close(socket, client.ending.code, _reason(client, client.ending))
    finally:
        hub.leave(client)
        hub.closed_slow += client.ending is not None and client.ending.code == TOO_SLOW


async def close(socket: FeedSocket, code: int, reason: str) -> None:
    """Ends within its timeout, whether the client reads or not."""
    shortened = reason.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore")
    with suppress(SocketGone, TimeoutError):
        async with asyncio.timeout(_patience_s(code)):
            await socket.close(code, shortened)


def _patience_s(code: int) -> float:
    return SLOW_CLOSE_TIMEOUT_S if code == TOO_SLOW else CLOSE_TIMEOUT_S


async def _run(socket: FeedSocket, client: FeedClient, hub: FeedHub, reader: LogReader) -> bool:
    """Whether a closing message can still reach the client: none does while another is under way."""
    session = _Session(socket, client, hub, reader)
    writing, reading = asyncio.create_task(session.write()), asyncio.create_task(session.read())
    ended = asyncio.create_task(client.ended.wait())
    tasks = (writing, reading, ended)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if client.ending is not None:
            # The message under way may still go out; then the position to resume from is past it.
            await asyncio.wait((writing,), timeout=_patience_s(client.ending.code))
        return writing.done()
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a client of the feed is closed", exc_info=outcome)
                client.end(BROKEN, f"resume with after={client.sent}")


def _reason(client: FeedClient, ending: Ending) -> str:
    return f"too slow: resume with after={client.sent}" if ending.code == TOO_SLOW else ending.reason


class _Session:
    def __init__(self, socket: FeedSocket, client: FeedClient, hub: FeedHub, reader: LogReader) -> None:
        self._socket = socket
        self._client = client
        self._hub = hub
        self._reader = reader

    async def write(self) -> None:
        client, after = self._client, self._client.subscription.after
        with suppress(SocketGone):
            try:
                if after is None:
                    client.starts_after(self._hub.position)
                    self._hub.go_live(client)
                else:
                    await self._catch_up(after)
                await self._follow(resumes=after is not None)
            except EventStoreError as error:
                log.warning("a client of the feed cannot catch up: %s", error)
                client.end(GOING_DOWN, f"the log cannot be read: resume with after={client.sent}")

    async def read(self) -> None:
        """What clients send means nothing yet; too much of it is refused."""
        loop = asyncio.get_running_loop()
        since, count = loop.time(), 0
        with suppress(SocketGone):
            while True:
                length = await self._socket.receive()
                if loop.time() - since > CLIENT_MESSAGES_S:
                    since, count = loop.time(), 0
                count += 1
                if length > MAX_CLIENT_MESSAGE or count > MAX_CLIENT_MESSAGES:
                    self._client.end(MISBEHAVED, "this feed takes no messages")
                    return

    async def _catch_up(self, after: int) -> None:
        """Sends everything after a position, until the client can follow live without gap or repeat."""
        client, hub = self._client, self._hub
        client.starts_after(after)
        if after > hub.position and after > (head := await self._reader.head()):
            client.end(WRONG_PARAMETER, f"after: position {after} is beyond the log's last position {head}")
            return
        while client.sent < hub.position and client.ending is None:
            page = await self._reader.page(client.sent)
            for entry in entries(page, hub.catalogue):
                if client.subscription.wants(entry):
                    await self._send(entry.text)
                client.sent = entry.position
                if client.ended.is_set():
                    return
            client.sent = page[-1].position
        # Nothing is awaited since the hub's position was looked at, so that what comes next is offered.
        client.starts_after(client.sent)
        hub.go_live(client)
        await self._send(caught_up(client.sent))

    async def _follow(self, *, resumes: bool) -> None:
        client = self._client
        while client.ending is None:
            try:
                async with asyncio.timeout(HEARTBEAT_S if resumes else None):
                    entry = await client.next()
            except TimeoutError:
                if client.idle:
                    await self._send(heartbeat(self._hub.position))
                continue
            if entry is not None:
                await self._send(entry.text)
                client.sent = entry.position

    async def _send(self, text: str) -> None:
        """A client that does not read is to end; the message itself is not given up, since part of it may be out."""
        stuck = asyncio.get_running_loop().call_later(SEND_TIMEOUT_S, self._client.end, TOO_SLOW)
        try:
            await self._socket.send(text)
        finally:
            stuck.cancel()
