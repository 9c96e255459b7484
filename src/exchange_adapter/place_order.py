"""A venue made of a plain blocking function `place_order(order)`, unmodified.

The function offers no id, no query and no reports. So what is known is little: it returned (placed), or it raised its
module's `OrderPlacementError` (surely not sent). Anything else leaves the order in doubt, for a person to settle; or,
with ON_DOUBT=resend, to be sent again, perhaps twice.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from msgspec import Struct

from exchange_adapter.errors import ReportsLost
from exchange_adapter.venue import (
    CancelRequest,
    NotSent,
    Placed,
    QueryOutcome,
    ReplaceRequest,
    ReportPosition,
    ReportStream,
    RequestOutcome,
    SubmitOutcome,
    Unknown,
    VenueOrder,
)
from orders.bounds import MAX_TEXT
from orders.domain.values import Capabilities, OrderType, Side

NOT_SENT_ERROR = "OrderPlacementError"
_CANNOT = Unknown("a plain place_order can only place")


class PlacedOrder(Struct, frozen=True, kw_only=True):
    """What the function is called with: the names that such functions read. `type_` and `side` are enum members whose
    values are "market", "limit", "buy", "sell"; `instrument` is the symbol where no code was given."""

    id_: UUID
    created_at: datetime
    type_: OrderType
    side: Side
    instrument: str
    limit_price: Decimal | None
    quantity: int


class PlaceOrderVenue:
    capabilities: ClassVar[Capabilities] = Capabilities()

    def __init__(self, place_order: Callable[[Any], object], *, module: str | None = None) -> None:
        """`module`: the one that EXCHANGE names."""
        self._place_order = place_order
        self._not_sent = declared_errors(place_order, module)

    def submit(self, order: VenueOrder) -> SubmitOutcome:
        """Raises whatever else the function raises: that is Unknown to the caller."""
        try:
            self._place_order(placed_order(order))
        except self._not_sent as error:
            return NotSent(str(error)[:MAX_TEXT] or NOT_SENT_ERROR)
        return Placed()

    def cancel(self, request: CancelRequest) -> RequestOutcome:
        return _CANNOT

    def replace(self, request: ReplaceRequest) -> RequestOutcome:
        return _CANNOT

    def query(self, order_id: UUID) -> QueryOutcome:
        return _CANNOT

    def reports(self, after: ReportPosition) -> ReportStream:
        raise ReportsLost("a plain place_order reports nothing")

    def close(self) -> None:
        pass


def placed_order(order: VenueOrder) -> PlacedOrder:
    return PlacedOrder(
        id_=order.order_id,
        created_at=order.created_at,
        type_=order.type,
        side=order.side,
        instrument=order.symbol,
        limit_price=order.limit_price,
        quantity=order.quantity,
    )


def declared_errors(place_order: Callable[[Any], object], module: str | None = None) -> tuple[type[Exception], ...]:
    """The classes named OrderPlacementError in the module that EXCHANGE names, in the function's own, and in those of
    what it wraps (functools.partial and functools.wraps say what)."""
    places = {module, *(getattr(layer, "__module__", None) for layer in _layers(place_order))}
    found = [getattr(sys.modules.get(place or ""), NOT_SENT_ERROR, None) for place in places]
    return tuple(error for error in found if isinstance(error, type) and issubclass(error, Exception))


def _layers(function: object) -> Iterator[object]:
    seen: list[object] = []
    while function is not None and not any(function is one for one in seen):
        yield function
        seen.append(function)
        function = function.func if isinstance(function, partial) else getattr(function, "__wrapped__", None)
