"""A feed without a server, and somebody who trades."""

from collections.abc import AsyncIterator

import pytest

from orders.eventstore.memory import MemoryEventStore
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
