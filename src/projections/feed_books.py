"""The channel `books`: snapshots of the order books that have changed, read once for all clients.

A snapshot shows a book as it was after a position, and goes to a client behind everything up to that position and
before everything later. Where later messages have left a client's queue already, as they do in a busy moment, its next
ones are held back while the book is read again; that takes as long as the projector is behind, and has a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from orders.domain.resource import OrderResource
from orders.domain.values import OrderType, Status
from orders.eventstore.port import EventStoreError
from orders.parameters import Asked
from orders.request_errors import InvalidParameters
from projections.bounds import BOOK_HOLD_S, BOOK_INTERVAL_S, BOOK_WAIT_S, MAX_BOOK_READS, MAX_FIRST_BOOKS
from projections.errors import ReadError
from projections.feed import Entry, Telling, control
from projections.feed_client import FeedClient
from projections.feed_hub import FeedHub
from projections.feed_messages import BookMessage
from projections.order_book import Book
from projections.queries import Answer, BookQuery, OrdersQuery

log = logging.getLogger(__name__)

_Key = tuple[str, str | None]
"""Account and symbol; without a symbol: all of them."""
_Due = dict[tuple[str, str], set[FeedClient]]
_NOT_NOW = (ReadError, EventStoreError, InvalidParameters, TimeoutError)


class BookReads(Protocol):
    """The part of `projections.reads.Reads` that the feed needs."""

    async def book(self, query: BookQuery, asked: Asked) -> Answer[Book]: ...

    async def orders(self, query: OrdersQuery, asked: Asked) -> Answer[list[OrderResource]]: ...


class FeedBooks:
    """A `projections.feed_hub.Watcher`, for the event loop's own thread."""

    def __init__(self, hub: FeedHub, reads: BookReads) -> None:
        self._hub = hub
        self._reads = reads
        self._watching: defaultdict[_Key, set[FeedClient]] = defaultdict(set)
        self._new: set[FeedClient] = set()
        self._owed: _Due = {}
        self._moved: set[tuple[str, str]] = set()  # of one round: no more of them than events in its time
        self._due = asyncio.Event()
        self._turns = asyncio.Semaphore(MAX_BOOK_READS)
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._hub.watcher = self
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    def client_is_live(self, client: FeedClient) -> None:
        if client.subscription.shows_books:
            self._watching[_watched(client)].add(client)
            self._new.add(client)
            self._due.set()

    def client_left(self, client: FeedClient) -> None:
        key = _watched(client)
        if key in self._watching:
            self._watching[key].discard(client)
            if not self._watching[key]:
                del self._watching[key]
        self._new.discard(client)
        for owed, clients in list(self._owed.items()):
            clients.discard(client)
            if not clients:
                del self._owed[owed]

    def offered(self, entry: Entry) -> None:
        if entry.moves_book and any(key in self._watching for key in _keys(entry.account, entry.symbol)):
            self._moved.add((entry.account, entry.symbol))
            self._due.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._due.wait()
            self._due.clear()
            began = loop.time()
            (outcome,) = await asyncio.gather(self._round(), return_exceptions=True)
            if isinstance(outcome, Exception):
                log.error("books of the feed are left out for once", exc_info=outcome)
            await asyncio.sleep(began + BOOK_INTERVAL_S - loop.time())

    async def _round(self) -> None:
        """One snapshot of each symbol that has changed or that somebody lacks."""
        late = await self._tell(await self._take_due(), self._hub.position, BOOK_WAIT_S)
        if not late:
            return
        clients = {client for some in late.values() for client in some}
        position = self._hub.position
        for client in clients:
            client.hold(position)
        try:
            self._owe(await self._tell(late, position, BOOK_HOLD_S))
        finally:
            for client in clients:
                client.release()

    async def _take_due(self) -> _Due:
        due: _Due = {}
        first = defaultdict(set)
        for client in self._new:
            first[_watched(client)].add(client)
        found = await asyncio.gather(*(self._first_symbols(*key) for key in first))
        for ((account, _), some), symbols in zip(first.items(), found, strict=True):
            for symbol in symbols or ():
                due.setdefault((account, symbol), set()).update(some)
            if symbols is not None:
                self._new -= some
        owed, self._owed = self._owed, {}
        for owed_key, clients in owed.items():
            due.setdefault(owed_key, set()).update(clients)
        moved, self._moved = self._moved, set()
        for account, symbol in moved:
            for key in _keys(account, symbol):
                due.setdefault((account, symbol), set()).update(self._watching.get(key, set()))
        return due

    async def _first_symbols(self, account: str, symbol: str | None) -> Iterable[str] | None:
        """None where the read side does not say now: asked again, while the other clients get their books."""
        if symbol is not None:
            return (symbol,)
        asked = Asked(min_position=self._hub.position, wait_ms=int(BOOK_WAIT_S * 1000))
        try:
            async with asyncio.timeout(BOOK_WAIT_S):
                newest = await self._reads.orders(OrdersQuery(account=account, status=Status.PLACED), asked)
        except _NOT_NOW as error:
            log.info("the first books of clients of the feed wait: %s", error)
            self._due.set()
            return None
        found = dict.fromkeys(order.symbol for order in newest.content if order.type is OrderType.LIMIT)
        return list(found)[:MAX_FIRST_BOOKS]

    async def _tell(self, due: _Due, position: int, within_s: float) -> _Due:
        """Whom something later than the snapshot has left for already. A snapshot that the read side does not have
        within the time is owed."""
        late: _Due = {}

        async def tell(key: tuple[str, str], clients: set[FeedClient]) -> None:
            snapshot = await self._snapshot(*key, position, within_s)
            if snapshot is None:
                self._owe({key: clients})
            elif lacking := {one for one in clients if self._lacks(one, snapshot)}:
                late[key] = lacking

        await asyncio.gather(*(tell(key, clients) for key, clients in due.items()))
        return late

    def _lacks(self, client: FeedClient, snapshot: Telling) -> bool:
        return self._is_live(client) and not client.insert(snapshot)

    def _is_live(self, client: FeedClient) -> bool:
        return client in self._watching.get(_watched(client), set())

    async def _snapshot(self, account: str, symbol: str, position: int, within_s: float) -> Telling | None:
        """As soon as everything up to its own position was offered, so that it can stand at its place."""
        asked = Asked(min_position=position, wait_ms=int(within_s * 1000))
        try:
            async with asyncio.timeout(within_s), self._turns:
                book = (await self._reads.book(BookQuery(account=account, symbol=symbol), asked)).content
                if not await self._hub.reached(book.position, within_s):
                    return None
        except _NOT_NOW as error:
            log.debug("the book of %s waits: %s", symbol, error)
            return None
        told = BookMessage(symbol=symbol, position=book.position, bids=book.bids, asks=book.asks)
        return control(told, book.position)

    def _owe(self, late: _Due) -> None:
        for key, clients in late.items():
            if live := {client for client in clients if self._is_live(client)}:
                self._owed.setdefault(key, set()).update(live)
                self._due.set()


def _watched(client: FeedClient) -> _Key:
    return client.subscription.account, client.subscription.symbol


def _keys(account: str, symbol: str) -> tuple[_Key, _Key]:
    return (account, symbol), (account, None)
