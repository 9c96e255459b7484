"""The books of a trading desk, straight from its log: a read side that a test can hold up."""

import asyncio
from collections import Counter

from orders.domain.events import OrderEvent
from orders.domain.instruments import BUILT_IN
from orders.domain.resource import OrderResource, resource
from orders.domain.values import Status
from orders.parameters import Asked
from projections.errors import NotCaughtUp
from projections.order_book import Book, Level
from projections.queries import Answer, BookQuery, OrdersQuery
from tests.support.trading_desk import TradingDesk


class DeskReads:
    """A read side that holds the log up to `holds`, or all of it; bids only. A book is answered when
    there is a permit: `permits` are plenty, unless a test takes its own. An answer is `lag_s` old."""

    def __init__(self, desk: TradingDesk) -> None:
        self.desk = desk
        self.holds: int | None = None
        self.asked: Counter[str] = Counter()
        self.permits = asyncio.Semaphore(1_000)
        self.lag_s = 0.0

    async def book(self, query: BookQuery, asked: Asked) -> Answer[Book]:
        self.asked[query.symbol] += 1
        position = self.desk.store.head() if self.holds is None else self.holds
        if position < (asked.min_position or 0):
            raise NotCaughtUp("order_book", asked.min_position or 0)
        open_orders = [order for order in self._open() if order.symbol == query.symbol]
        bids = [Level(str(order.limit_price), order.quantity, 1) for order in open_orders]
        await self.permits.acquire()
        await self._lag()
        book = Book(symbol=query.symbol, position=position, bids=bids, asks=[])
        return Answer(content=book, position=position)

    async def orders(self, query: OrdersQuery, asked: Asked) -> Answer[list[OrderResource]]:
        return Answer(content=self._open(), position=self.desk.store.head())

    async def _lag(self) -> None:
        if self.lag_s:
            over = asyncio.Event()
            asyncio.get_running_loop().call_later(self.lag_s, over.set)
            await over.wait()

    def _open(self) -> list[OrderResource]:
        last = {one.stream_id: one for one in self.desk.log() if isinstance(one.event, OrderEvent)}
        shown = []
        for one in last.values():
            assert isinstance(one.event, OrderEvent)
            view, at = one.event.after, one.event.at
            shown.append(
                resource(one.stream_id, view, BUILT_IN, version=one.version, position=one.position, updated_at=at)
            )
        return [order for order in shown if order.status is Status.PLACED]
