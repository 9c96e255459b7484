"""The list of orders as it was after a position of the log.

Which orders there were, the table of orders knows: symbol, side, key and time of placing never change. How each of
them was, only the log knows. So an order costs a look into the log, and the status, which changes, is judged after it:
a page looks at a bounded number of orders, and may show fewer than it might.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from orders.domain.instruments import Catalogue
from orders.domain.resource import OrderResource
from orders.eventstore.codec import decode
from orders.eventstore.port import Recorded
from orders.eventstore.sql import load
from orders.parameters import Asked
from projections import order_status
from projections.bounds import MAX_PAST_CANDIDATES
from projections.errors import TablesMissing
from projections.freshness import Freshness
from projections.history import shown
from projections.queries import Answer, OrdersQuery
from projections.read_pool import SQL, ReadPool

_STATEMENT = load("projections", "orders_as_of.sql")["orders_as_of"]
_NEVER_CHANGED = ("before", "symbol", "side", "client_order_id", "placed_after", "placed_before")


class PastOrders:
    def __init__(self, pool: ReadPool, freshness: Freshness, catalogue: Catalogue) -> None:
        self._pool = pool
        self._freshness = freshness
        self._catalogue = catalogue

    async def orders(self, query: OrdersQuery, as_of: int, asked: Asked) -> Answer[list[OrderResource]]:
        """Newest first, as they were after `as_of`, which is the answer's position.

        Raises: as `Freshness.read_as_of`; UnknownEvent.
        """
        looked_at = query.limit if query.status is None else MAX_PAST_CANDIDATES
        params = {**msgspec.structs.asdict(query), "as_of": as_of, "candidates": looked_at + 1}
        filters = " ".join(SQL[f"orders_{name}"] for name in _NEVER_CHANGED if params[name] is not None)
        statement = _STATEMENT.replace("{filters}", filters)

        async def read() -> Answer[list[OrderResource]]:
            rows = await self._pool.rows(statement, params)
            if rows[0][0] is None:
                raise TablesMissing
            found = [row[1:] for row in rows if row[1] is not None]
            content, after = past_page(found, query, looked_at, self._catalogue)
            return Answer(content=content, position=rows[0][0], next=after)

        answer = await self._freshness.read_as_of(order_status.NAME, as_of, asked, read)
        return msgspec.structs.replace(answer, position=as_of)


def past_page(
    rows: Sequence[tuple[Any, ...]], query: OrdersQuery, looked_at: int, catalogue: Catalogue
) -> tuple[list[OrderResource], int | None]:
    """The orders of a page, and where the next begins: behind the last order looked at, if there are more.

    `rows` are (placed_position, order_id, position, version, topic, state), one more than are to be looked at where
    there are more.
    """
    page: list[OrderResource] = []
    place: int | None = None
    for placed_position, order_id, position, version, topic, state in rows[:looked_at]:
        if len(page) == query.limit:
            break
        order = shown(Recorded(position, order_id, version, decode(topic, state)), catalogue)
        if query.status in (None, order.status):
            page.append(order)
        place = placed_position
    return page, None if place is None or place == rows[-1][0] else place
