"""One client of the feed, from its first message to its end.

Three things race: the client goes, something is to be sent, the hub wants the end. None waits for another, so that a
client that does not read delays nobody, the shutdown least of all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

from orders.eventstore.port import EventStoreError
from projections.bounds import (
    CLIENT_MESSAGES_S,
    CLOSE_TIMEOUT_S,
    GOODBYE_FLUSH_S,
    HEARTBEAT_S,
    MAX_CLIENT_MESSAGE,
    MAX_CLIENT_MESSAGES,
    MAX_CLOSE_REASON_BYTES,
    SEND_LOOKS,
    SEND_TIMEOUT_S,
    SLOW_CLOSE_TIMEOUT_S,
)
from projections.feed import Subscription, Telling, control
from projections.feed_client import BROKEN, GOING_DOWN, MISBEHAVED, TOO_SLOW, WRONG_PARAMETER, Ending, FeedClient
from projections.feed_hub import FeedHub
from projections.feed_log import LogReader
from projections.feed_messages import CaughtUp, FellBehind, Heartbeat

log = logging.getLogger(__name__)

T = TypeVar("T")

_RESUMABLE = (TOO_SLOW, GOING_DOWN, BROKEN)


class SocketGone(Exception):
    """The client's connection has ended."""


class FeedSocket(Protocol):
    """A connection that takes the feed. Each method raises SocketGone where the connection has ended.
    `frame_bytes`: what it is given to send at once, at most, but for a single position's messages."""

    frame_bytes: int

    async def begin(self, position: int) -> None:
        """Before anything else: what follows for this client comes after the position."""
        ...

    async def send(self, tellings: Sequence[Telling]) -> None:
        """All of them, in order."""
        ...

    async def keep_alive(self, position: int) -> None:
        """Nothing came for a while, and the client takes no heartbeats; it may resume from here."""
        ...

    async def receive(self) -> int:
        """Waits for a message from the client; its length."""
        ...

    async def close(self, code: int, reason: str, position: int) -> None:
        """Everything up to the position was sent."""
        ...

    def make_room(self) -> None:
        """Where the client does not read: lets the frame under way and the closing one go out nevertheless."""
        ...

    def cut(self) -> None:
        """Ends a connection whose client does not read, and keeps what has gone out for it to read later."""
        ...


async def beyond_the_log(after: int | None, hub: FeedHub, reader: LogReader) -> str | None:
    """What is wrong with a position after which a client wants to resume. Raises EventStoreError."""
    if after is not None and after > hub.position and after > (head := await reader.head()):
        return f"position {after} is beyond the log's last position {head}"
    return None


async def serve(socket: FeedSocket, subscription: Subscription, hub: FeedHub, reader: LogReader) -> None:
    """Until the client goes, or is closed."""
    client = FeedClient(subscription)
    hub.join(client)
    try:
        give_up_at = await _run(socket, client, hub, reader)
        if client.ending is not None:
            hub.closed_slow += client.ending.code == TOO_SLOW
            await _tell_ending(socket, client, client.ending, give_up_at)
    finally:
        hub.leave(client)


async def _tell_ending(socket: FeedSocket, client: FeedClient, ending: Ending, give_up_at: float | None) -> None:
    if give_up_at is None:
        socket.cut()
        return
    resume = f": resume with after={client.sent}" if ending.code in _RESUMABLE else ""
    await close(socket, ending.code, ending.reason + resume, client.sent, give_up_at)
    if ending.code == TOO_SLOW:
        await asyncio.sleep(GOODBYE_FLUSH_S)
        socket.cut()  # else the server keeps it until the client has read all


async def close(socket: FeedSocket, code: int, reason: str, position: int = 0, give_up_at: float | None = None) -> None:
    """Ends in time (of the event loop), whether the client reads or not."""
    shortened = reason.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore")
    give_up_at = asyncio.get_running_loop().time() + CLOSE_TIMEOUT_S if give_up_at is None else give_up_at
    with suppress(SocketGone):
        try:
            async with asyncio.timeout_at(give_up_at):
                await socket.close(code, shortened, position)
        except TimeoutError:
            socket.cut()


async def _run(socket: FeedSocket, client: FeedClient, hub: FeedHub, reader: LogReader) -> float | None:
    """Until when a closing message may be tried; None where none can reach the client: another one is under way."""
    session = _Session(socket, client, hub, reader)
    writing, reading = asyncio.create_task(session.write()), asyncio.create_task(session.read())
    ended = asyncio.create_task(client.ended.wait())
    tasks = (writing, reading, ended)
    loop = asyncio.get_running_loop()
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        slow = client.ending is not None and client.ending.code == TOO_SLOW
        give_up_at = loop.time() + (SLOW_CLOSE_TIMEOUT_S if slow else CLOSE_TIMEOUT_S)
        if slow:
            socket.make_room()
        if client.ending is not None:
            # The frame under way may still go out; then the position to resume from is past it.
            await asyncio.wait((writing,), timeout=give_up_at - loop.time())
        return give_up_at if writing.done() else None
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a client of the feed is closed", exc_info=outcome)
                client.end(BROKEN, "a fault of the service")


class _Session:
    def __init__(self, socket: FeedSocket, client: FeedClient, hub: FeedHub, reader: LogReader) -> None:
        self._socket = socket
        self._client = client
        self._hub = hub
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._resumes = client.subscription.after is not None
        self._spoke_at = self._loop.time()

    async def write(self) -> None:
        client = self._client
        with suppress(SocketGone):
            try:
                after = client.subscription.after
                if after is None:
                    self._go_live(self._hub.position)
                with self._patience():
                    await self._socket.begin(client.sent)
                if after is not None:
                    wrong = await self._unless_ended(beyond_the_log(after, self._hub, self._reader))
                    if wrong is not None:
                        client.end(WRONG_PARAMETER, f"after: {wrong}")
                    elif client.ending is None:
                        await self._catch_up()
                await self._follow()
            except EventStoreError as error:
                log.warning("a client of the feed cannot catch up: %s", error)
                client.end(GOING_DOWN, "the log cannot be read")

    async def read(self) -> None:
        """What clients send means nothing yet; too much of it is refused."""
        since, count = self._loop.time(), 0
        with suppress(SocketGone):
            while True:
                length = await self._socket.receive()
                if self._loop.time() - since > CLIENT_MESSAGES_S:
                    since, count = self._loop.time(), 0
                count += 1
                if length > MAX_CLIENT_MESSAGE or count > MAX_CLIENT_MESSAGES:
                    self._client.end(MISBEHAVED, "this feed takes no messages")
                    return

    def _go_live(self, position: int) -> None:
        self._client.starts_after(position)
        self._hub.go_live(self._client)

    async def _catch_up(self) -> None:
        """Sends what follows the client's position, until it can follow live without gap or repeat. Where this process
        is behind the client, it waits."""
        client, hub = self._client, self._hub
        while hub.position < client.sent:
            if await self._unless_ended(hub.reached(client.sent, HEARTBEAT_S)) is None:
                return
            await self._beat_after_silence(client.sent)
        if not client.subscription.replays:
            client.has_heard(hub.position)
        while client.sent < hub.position:
            page = await self._unless_ended(self._reader.page(client.sent))
            if page is None:
                return
            client.queue(page.after(client.sent, client.subscription))
            while tellings := client.take(self._socket.frame_bytes):
                await self._send(tellings)
            if client.ending is not None:
                return
            client.has_heard(page.last)
            await self._beat_after_silence(client.sent)
        # Nothing is awaited since the hub's position was looked at, so that what comes next is offered.
        self._go_live(client.sent)
        await self._send([control(CaughtUp(position=client.sent), client.sent)])

    async def _follow(self) -> None:
        client = self._client
        while client.ending is None:
            if client.behind:
                await self._return_to_the_log()
            elif tellings := client.take(self._socket.frame_bytes):
                await self._send(tellings)
            else:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await client.wait()
                except TimeoutError:
                    if client.idle:
                        await self._beat(self._hub.position)

    async def _return_to_the_log(self) -> None:
        self._hub.leave_live(self._client)
        self._client.starts_after(self._client.sent)
        await self._send([control(FellBehind(position=self._client.sent), self._client.sent)])
        await self._catch_up()

    async def _beat_after_silence(self, position: int) -> None:
        if self._loop.time() - self._spoke_at > HEARTBEAT_S:
            await self._beat(position)

    async def _beat(self, position: int) -> None:
        # The log may have been read further than this process's live log has come.
        position = max(position, self._client.sent)
        self._client.passes(position)
        if self._resumes:
            await self._send([control(Heartbeat(position=position), position)])
            return
        with self._patience():
            await self._socket.keep_alive(position)
        self._client.has_heard(position)

    async def _send(self, tellings: Sequence[Telling]) -> None:
        with self._patience():
            await self._socket.send(tellings)
        self._client.has_heard(tellings[-1].position)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """A client that does not read is to end; the frame itself is not given up, since part of it may be out.

        The time is counted in looks, so that an event loop that stands still, after which all timers are due at once,
        passes for one of them and not for a client that does not read.
        """
        next_look: asyncio.TimerHandle

        def look(left: int) -> asyncio.TimerHandle:
            return self._loop.call_later(SEND_TIMEOUT_S / SEND_LOOKS, looked, left)

        def looked(left: int) -> None:
            nonlocal next_look
            if left:
                next_look = look(left - 1)
            else:
                self._client.end(TOO_SLOW, "too slow")

        next_look = look(SEND_LOOKS - 1)
        try:
            yield
        finally:
            next_look.cancel()
        self._spoke_at = self._loop.time()

    async def _unless_ended(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What the work brings; None where the client is to end before."""
        working, ended = asyncio.create_task(work), asyncio.create_task(self._client.ended.wait())
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait((working, ended), return_when=asyncio.FIRST_COMPLETED)
            return None if self._client.ending is not None else working.result()
        finally:
            working.cancel()
            ended.cancel()
