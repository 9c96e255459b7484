"""The lists: orders, trades and the order book, from the projections' tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource, printed, resource
from orders.domain.values import Delivery, OrderType, OrderView, OrdStatus, Side, Status, TimeInForce, rounded_average
from orders.parameters import Asked
from projections import order_book, order_status, trades
from projections.bounds import SWAPPED_TRIES
from projections.errors import TablesMissing, UnknownBook
from projections.freshness import Freshness
from projections.order_book import Book, book_of
from projections.orders_as_of import PastOrders
from projections.projection import LISTED, Listing, Projection
from projections.queries import (
    Answer,
    AskedRebuild,
    BookQuery,
    FollowerFailure,
    ListQuery,
    OrdersQuery,
    ProjectionLag,
    Trade,
    TradesQuery,
)
from projections.read_pool import SQL, ReadPool
from projections.registry import PROJECTIONS

_FILTERS = {
    "orders": ("before", "status", "symbol", "side", "client_order_id", "placed_after", "placed_before"),
    "trades": ("before", "order_id", "symbol"),
}


class Reads:
    """All methods raise, beside what they name: InvalidParameters for a position beyond the log's head, NotCaughtUp,
    TooManyReads, ReadsUnavailable, EventStoreError."""

    def __init__(self, pool: ReadPool, freshness: Freshness, catalogue: Catalogue, known: Callable[[], int]) -> None:
        """`known()` is the highest position of the log that this process knows of."""
        self._pool = pool
        self._freshness = freshness
        self._known = known
        self._catalogue = catalogue
        self._past = PastOrders(pool, freshness, catalogue)

    async def orders(self, query: OrdersQuery, asked: Asked) -> Answer[list[OrderResource]]:
        """Newest first. As they were, where the query says so: such a page may be short, and is followed by others."""
        if query.as_of is not None:
            return await self._past.orders(query, query.as_of, asked)

        async def read() -> Answer[list[OrderResource]]:
            position, rows = await self._page("orders", query)
            shown = [shown_order(row, self._catalogue) for row in rows[: query.limit]]
            return Answer(content=shown, position=position, next=_next(rows, query.limit))

        return await self._freshness.read(order_status.NAME, asked, read)

    async def trades(self, query: TradesQuery, asked: Asked) -> Answer[list[Trade]]:
        """The fills that count, newest first."""

        async def read() -> Answer[list[Trade]]:
            position, rows = await self._page("trades", query)
            shown = [shown_trade(row, self._catalogue) for row in rows[: query.limit]]
            return Answer(content=shown, position=position, next=_next(rows, query.limit))

        return await self._freshness.read(trades.NAME, asked, read)

    async def book(self, query: BookQuery, asked: Asked) -> Answer[Book]:
        """Raises UnknownBook."""
        instrument = self._catalogue.find(query.symbol)
        if instrument is None:
            raise UnknownBook(query.symbol)

        async def read() -> Answer[Book]:
            position, rows = await self._rows(SQL["book"], msgspec.structs.asdict(query))
            return Answer(content=book_of(instrument, position, rows), position=position)

        return await self._freshness.read(order_book.NAME, asked, read)

    async def listed(
        self, projection: Projection, listing: Listing, query: ListQuery, asked: Asked
    ) -> Answer[list[Struct]]:
        """The projection's own list."""
        listed = projection.sql[LISTED].replace("{schema}", projection.schema)
        statement = SQL["listing"].replace("{name}", projection.name).replace("{schema}", projection.schema)
        statement = statement.replace("{listed}", listed)
        params = {**msgspec.structs.asdict(query), "limit": query.limit + 1}

        async def read() -> Answer[list[Struct]]:
            position, rows = await self._rows(statement, params)
            shown = [listing.shown(row[1:], self._catalogue) for row in rows[: query.limit]]
            return Answer(content=shown, position=position, next=_next(rows, query.limit))

        return await self._freshness.read(projection.name, asked, read)

    async def position(self, asked: Asked) -> int:
        """What an answer that needs no table may claim to hold."""
        return max(await self._freshness.require(asked), self._known())

    async def follower_position(self, follower: str, asked: Asked) -> int:
        """What an answer from a follower's tables may claim to hold, once they hold what is asked for."""
        return await self._freshness.reached(follower, asked)

    async def lags(self) -> list[ProjectionLag]:
        """How far each projection is. For health: it waits for nothing but the query."""
        rows = await self._pool.rows(SQL["lags"], {"names": [one.name for one in PROJECTIONS]})
        return [
            ProjectionLag(
                name=name,
                position=position,
                lag_events=max(0, head - position),
                followed=followed,
                failed=FollowerFailure(position=at, reason=reason, since=since) if at is not None else None,
                generation=generation,
                rebuild=AskedRebuild(*rebuild) if rebuild[0] is not None else None,
            )
            for name, position, head, followed, at, reason, since, generation, *rebuild in rows
        ]

    async def _page(self, statement: str, query: OrdersQuery | TradesQuery) -> tuple[int, list[tuple[Any, ...]]]:
        """The position, and one row more than asked for where there are more."""
        params = msgspec.structs.asdict(query)
        params["limit"] = query.limit + 1
        filters = " ".join(SQL[f"{statement}_{name}"] for name in _FILTERS[statement] if params[name] is not None)
        return await self._rows(SQL[statement].replace("{filters}", filters), params)

    async def _rows(self, statement: str, params: Mapping[str, object]) -> tuple[int, list[tuple[Any, ...]]]:
        """The position that the rows are from, and the rows without it; a line of nulls is no row.

        Where tables and checkpoint differ for good, which no reader can mend, the rows are newer than the position.
        """
        for _ in range(SWAPPED_TRIES):
            rows = await self._pool.rows(statement, params)
            position, checkpoint = rows[0][:2]
            if position is None:
                raise TablesMissing
            if position == checkpoint:
                break
        return position, [row[2:] for row in rows if row[2] is not None]


def shown_order(row: tuple[Any, ...], catalogue: Catalogue) -> OrderResource:
    """From a row of `orders` in reads.sql."""
    _, order_id, position, version, account, client_order_id, symbol, instrument, side, order_type, *rest = row
    limit_price, quantity, time_in_force, status, ord_status, filled, average, delivery, *times = rest
    created_at, updated_at, executed_at = times
    view = OrderView(
        account=account,
        symbol=symbol,
        quantity=quantity,
        side=Side(side),
        type=OrderType(order_type),
        client_order_id=client_order_id,
        instrument=instrument,
        limit_price=limit_price,
        time_in_force=TimeInForce(time_in_force),
        filled_quantity=filled,
        average_price=average,
        status=Status(status),
        ord_status=OrdStatus(ord_status),
        delivery=Delivery(delivery),
        created_at=created_at,
        executed_at=executed_at,
    )
    return resource(order_id, view, catalogue, version=version, position=position, updated_at=updated_at)


def shown_trade(row: tuple[Any, ...], catalogue: Catalogue) -> Trade:
    """From a row of `trades` in reads.sql."""
    position, exec_id, order_id, client_order_id, symbol, side, quantity, price, at, corrects, traded, notional = row
    average = rounded_average(notional, traded)
    return Trade(
        exec_id=exec_id,
        order_id=order_id,
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side(side),
        quantity=quantity,
        price=printed(catalogue, symbol, price),
        time=at,
        position=position,
        corrects=corrects,
        order_traded_quantity=traded,
        order_average_price=None if average is None else f"{average:f}",
    )


def _next(rows: list[tuple[Any, ...]], limit: int) -> Any:
    """Where the page after these rows begins: all lists have what they are sorted by in front."""
    return rows[limit - 1][0] if len(rows) > limit else None
