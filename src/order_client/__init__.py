"""The Python client of the order service, for threads and for asyncio.

    with OrderClient("http://127.0.0.1:8000") as client:
        order = client.place(symbol="EURUSD", quantity=10)
        with client.stream(after=0) as messages:
            for message in messages:
                ...

docs/how-to/use-the-python-client.md shows all of it.
"""

from order_client.async_client import AsyncOrderClient
from order_client.async_stream import AsyncStream
from order_client.errors import (
    Conflict,
    FieldError,
    InDoubt,
    Invalid,
    NotFound,
    NotPermitted,
    OrderClientError,
    OrderEnded,
    Refused,
    StreamLost,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from order_client.messages import (
    BookMessage,
    CaughtUp,
    Message,
    OrderMessage,
    TradeBusted,
    TradeCorrected,
    TradeMessage,
)
from order_client.resources import Book, Change, FieldChange, HistoryEvent, Instrument, Level, Order, Trade
from order_client.sync_client import OrderClient
from order_client.sync_stream import Stream

__all__ = [
    "AsyncOrderClient",
    "AsyncStream",
    "Book",
    "BookMessage",
    "CaughtUp",
    "Change",
    "Conflict",
    "FieldChange",
    "FieldError",
    "HistoryEvent",
    "InDoubt",
    "Instrument",
    "Invalid",
    "Level",
    "Message",
    "NotFound",
    "NotPermitted",
    "Order",
    "OrderClient",
    "OrderClientError",
    "OrderEnded",
    "OrderMessage",
    "Refused",
    "Stream",
    "StreamLost",
    "TooManyRequests",
    "Trade",
    "TradeBusted",
    "TradeCorrected",
    "TradeMessage",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]
