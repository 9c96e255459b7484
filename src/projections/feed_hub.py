"""Fan-out: what the live log brings, to the clients that want it, in order. One for an API process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from orders.domain.instruments import Catalogue
from orders.eventstore.port import Recorded
from projections.bounds import DRAIN_TIMEOUT_S, MAX_FEED_CLIENTS
from projections.feed import Circle, Entry, entries
from projections.feed_client import FULL, GOING_DOWN, FeedClient

_RESTART = "the service restarts"
_NO_ROOM = "too many clients, try again later"
_ENOUGH = "too many clients of this account, try again later"


class Live(Protocol):
    """The part of `orders.eventstore.live_log.LiveLog` that the feed needs."""

    position: int

    def listen(self, callback: Callable[[list[Recorded]], None]) -> Callable[[], None]: ...

    async def wait_for(self, position: int, timeout_s: float) -> bool: ...


class Watcher(Protocol):
    """Who else wants to know which clients are live, and what they were offered."""

    def client_is_live(self, client: FeedClient) -> None: ...

    def client_left(self, client: FeedClient) -> None: ...

    def offered(self, entry: Entry) -> None: ...


class FeedHub:
    """For the event loop's own thread. `most_of_account`: so many clients of one account, so that others find room."""

    def __init__(self, live: Live, catalogue: Catalogue, *, most_of_account: int = MAX_FEED_CLIENTS) -> None:
        self.closed_slow = 0
        """Clients that were closed because they were too slow, for metrics."""
        self.watcher: Watcher | None = None
        self._catalogue = catalogue
        self._live = live
        self._most_of_account = most_of_account
        self._clients: set[FeedClient] = set()
        self._places: dict[str, set[FeedClient]] = {}  # by account; who is refused is a client, but has none
        # Of a thousand clients an entry meets only those that may want it.
        self._live_clients: dict[Circle, set[FeedClient]] = {}
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

    def refusal(self, account: str) -> tuple[int, str] | None:
        """Why no client of the account is taken just now, as a close code and its reason."""
        if self._closing:
            return GOING_DOWN, _RESTART
        if len(self._places.get(account, ())) >= self._most_of_account:
            return FULL, _ENOUGH
        return (FULL, _NO_ROOM) if sum(map(len, self._places.values())) >= MAX_FEED_CLIENTS else None

    def start(self) -> None:
        self._stop_listening = self._live.listen(self.publish)

    async def close(self) -> None:
        """Tells all clients to go elsewhere, and waits until they were told, up to a bound. Again, it does nothing."""
        if self._closing:
            return
        self._closing = True
        if self._stop_listening is not None:
            self._stop_listening()
        for client in self._clients:
            client.end(GOING_DOWN, _RESTART)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self._empty.wait()

    async def reached(self, position: int, timeout_s: float) -> bool:
        """Whether everything up to there was offered within `timeout_s`."""
        return self.position >= position or await self._live.wait_for(position, timeout_s)

    def join(self, client: FeedClient) -> None:
        """Counts the client, and ends it where there is no room or the hub closes; nothing is offered to it yet."""
        after = client.subscription.after
        client.starts_after(self.position if after is None else after)
        account = client.subscription.account
        if (refusal := self.refusal(account)) is not None:
            client.end(*refusal)
        else:
            self._places.setdefault(account, set()).add(client)
        self._clients.add(client)
        self._empty.clear()

    def go_live(self, client: FeedClient) -> None:
        """From now on the client is offered what comes after `position`."""
        if client.subscription.replays:
            self._live_clients.setdefault(client.subscription.circle, set()).add(client)
        if self.watcher is not None:
            self.watcher.client_is_live(client)

    def leave_live(self, client: FeedClient) -> None:
        """From now on it is offered nothing."""
        circle = client.subscription.circle
        if live := self._live_clients.get(circle):
            live.discard(client)
            if not live:
                del self._live_clients[circle]
        if self.watcher is not None:
            self.watcher.client_left(client)

    def leave(self, client: FeedClient) -> None:
        self._clients.discard(client)
        account = client.subscription.account
        if places := self._places.get(account):
            places.discard(client)
            if not places:
                del self._places[account]
        self.leave_live(client)
        client.drop()
        if not self._clients:
            self._empty.set()

    def publish(self, batch: list[Recorded]) -> None:
        """Offers a batch of the log, which follows the last one."""
        if self._clients:
            for entry in entries(batch, self._catalogue):
                self._offer(entry)
        self._published = batch[-1].position

    def _offer(self, entry: Entry) -> None:
        for circle in entry.circles:
            for client in self._live_clients.get(circle, ()):
                client.offer(entry)
        if self.watcher is not None:
            self.watcher.offered(entry)
