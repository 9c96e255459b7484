"""A feed without a server, and somebody who trades."""

from collections.abc import AsyncIterator

import pytest

from orders.eventstore.memory import MemoryEventStore
from projections import feed_books
from projections.feed_books import FeedBooks
from tests.support.desk_reads import DeskReads
from tests.support.feed_sockets import Studio
from tests.support.trading_desk import TradingDesk


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    studio = Studio(MemoryEventStore())
    yield studio
    await studio.end()


@pytest.fixture
def desk(studio: Studio) -> TradingDesk:
    return TradingDesk(studio.store)


@pytest.fixture
def reads(desk: TradingDesk) -> DeskReads:
    return DeskReads(desk)


@pytest.fixture
async def books(studio: Studio, reads: DeskReads, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedBooks]:
    monkeypatch.setattr(feed_books, "BOOK_INTERVAL_S", 0.05)
    books = FeedBooks(studio.hub, reads)
    books.start()
    yield books
    await books.close()
