"""Fan-out: what the live log brings, to the clients that want it, in order. One for an API process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from orders.domain.instruments import Catalogue
from orders.eventstore.port import Recorded
from projections.bounds import DRAIN_TIMEOUT_S, MAX_FEED_CLIENTS
from projections.feed import Entry, entries
from projections.feed_client import FULL, GOING_DOWN, FeedClient

_Key = UUID | str | None
_RESTART = (GOING_DOWN, "the service restarts")


class Live(Protocol):
    """The part of `orders.eventstore.live_log.LiveLog` that the feed needs."""

    position: int

    def listen(self, callback: Callable[[list[Recorded]], None]) -> Callable[[], None]: ...


class FeedHub:
    """For the event loop's own thread."""

    def __init__(self, live: Live, catalogue: Catalogue) -> None:
        self.closed_slow = 0
        """Clients that were closed because they were too slow, for metrics."""
        self.catalogue = catalogue
        self._live = live
        self._clients: set[FeedClient] = set()
        # By what a client filters most narrowly: of a thousand clients an entry meets only those that may want it.
        self._live_clients: dict[_Key, set[FeedClient]] = {}
        self._published = 0
        self._closing = False
        self._empty = asyncio.Event()
        self._empty.set()
        self._stop_listening: Callable[[], None] | None = None

    @property
    def position(self) -> int:
        """Everything up to here was offered to the clients that are live."""
        return max(self._published, self._live.position)

    @property
    def clients(self) -> int:
        return len(self._clients)

    def start(self) -> None:
        self._stop_listening = self._live.listen(self.publish)

    async def close(self) -> None:
        """Tells all clients to go elsewhere, and waits until they were told, up to a bound."""
        self._closing = True
        if self._stop_listening is not None:
            self._stop_listening()
        for client in self._clients:
            client.end(*_RESTART)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self._empty.wait()

    def join(self, client: FeedClient) -> None:
        """Counts the client, and ends it where there is no room or the hub closes; nothing is offered to it yet."""
        if self._closing:
            client.end(*_RESTART)
        elif len(self._clients) >= MAX_FEED_CLIENTS:
            client.end(FULL, "too many clients, try again later")
        self._clients.add(client)
        self._empty.clear()

    def go_live(self, client: FeedClient) -> None:
        """From now on the client is offered what comes after `position`."""
        self._live_clients.setdefault(_key(client), set()).add(client)

    def leave(self, client: FeedClient) -> None:
        self._clients.discard(client)
        key = _key(client)
        if live := self._live_clients.get(key):
            live.discard(client)
            if not live:
                del self._live_clients[key]
        if not self._clients:
            self._empty.set()

    def publish(self, batch: list[Recorded]) -> None:
        """Offers a batch of the log, which follows the last one."""
        if self._live_clients:
            for entry in entries(batch, self.catalogue):
                self._offer(entry)
        self._published = batch[-1].position

    def _offer(self, entry: Entry) -> None:
        for key in (None, entry.symbol, entry.order_id):
            for client in self._live_clients.get(key, ()):
                if client.subscription.wants(entry):
                    client.offer(entry)


def _key(client: FeedClient) -> _Key:
    return client.subscription.order_id or client.subscription.symbol
