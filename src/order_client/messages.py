"""The messages of a stream as structs, and how they are read from its frames."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from order_client.answers import UNREADABLE
from order_client.errors import UnexpectedAnswer
from order_client.resources import Level


class OrderMessage(Struct, frozen=True, kw_only=True):
    """Channel `orders`: the order after the event at `position`; `event` is its name. `exec_id`, `last_quantity` and
    `last_price` are those of a fill or correction, `ref_exec_id` what a bust or correction refers to. `more`: another
    message of the same position follows."""

    event: str
    order_id: UUID
    client_order_id: str | None
    status: str
    ord_status: str
    symbol: str
    instrument: str | None
    side: str
    type: str
    limit_price: Decimal | None
    quantity: int
    filled_quantity: int
    average_price: Decimal | None
    delivery: str
    version: int
    position: int
    time: datetime
    exec_id: str | None = None
    ref_exec_id: str | None = None
    last_quantity: int | None = None
    last_price: Decimal | None = None
    reason: str | None = None
    more: bool = False


class TradeMessage(Struct, frozen=True, kw_only=True):
    """Channel `trades`: a fill as the exchange reported it."""

    exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: str
    quantity: int
    price: Decimal
    time: datetime
    position: int
    more: bool = False


class TradeBusted(Struct, frozen=True, kw_only=True):
    """Channel `trades`: the fill `ref_exec_id` of this order never counted (FIX ExecType H)."""

    exec_id: str
    ref_exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: str
    time: datetime
    position: int
    more: bool = False


class TradeCorrected(Struct, frozen=True, kw_only=True):
    """Channel `trades`: `exec_id` takes the place of the fill `ref_exec_id` of this order (FIX ExecType G)."""

    exec_id: str
    ref_exec_id: str
    order_id: UUID
    client_order_id: str | None
    symbol: str
    side: str
    quantity: int
    price: Decimal
    time: datetime
    position: int
    more: bool = False


class BookMessage(Struct, frozen=True, kw_only=True):
    """Channel `books`: a snapshot, which takes the place of the one before; best price first on both sides."""

    symbol: str
    position: int
    bids: list[Level]
    asks: list[Level]


class CaughtUp(Struct, frozen=True, kw_only=True):
    """Everything up to `position` was received; what follows is live. It comes again after each resumption."""

    position: int


Message = OrderMessage | TradeMessage | TradeBusted | TradeCorrected | BookMessage | CaughtUp

BOOK, CAUGHT_UP, HEARTBEAT, FELL_BEHIND = "book", "caught_up", "heartbeat", "fell_behind"


class Told(Struct, frozen=True):
    """One message as it came: what resuming needs of it, and its JSON."""

    kind: str
    position: int
    more: bool
    json: bytes


class _Head(Struct):
    position: int
    type: str = ""
    event: str = ""
    more: bool = False


_heads = msgspec.json.Decoder(_Head)
_lists = msgspec.json.Decoder(list[Raw])
_ORDER = "orders"
_READERS: dict[str, msgspec.json.Decoder[Message]] = {
    _ORDER: msgspec.json.Decoder(OrderMessage),
    "trade": msgspec.json.Decoder(TradeMessage),
    "trade_busted": msgspec.json.Decoder(TradeBusted),
    "trade_corrected": msgspec.json.Decoder(TradeCorrected),
    BOOK: msgspec.json.Decoder(BookMessage),
    CAUGHT_UP: msgspec.json.Decoder(CaughtUp),
}


def told(frame: str | bytes) -> Iterator[Told]:
    """The messages of a frame, which is one of them or a list. Raises UnexpectedAnswer."""
    data = frame.encode() if isinstance(frame, str) else frame
    try:
        for json in _lists.decode(data) if data[:1] == b"[" else (data,):
            head = _heads.decode(json)
            # An order's message has its order's type, market or limit; all others have a type of their own.
            yield Told(_ORDER if head.event else head.type, head.position, head.more, bytes(json))
    except UNREADABLE as error:
        raise UnexpectedAnswer(f"the stream sent what is no message of an order service: {error}") from None


def message_of(one: Told) -> Message | None:
    """None for a kind that only a newer client knows. Raises UnexpectedAnswer."""
    reader = _READERS.get(one.kind)
    try:
        return None if reader is None else reader.decode(one.json)
    except UNREADABLE as error:
        raise UnexpectedAnswer(f"the stream sent what is no message of an order service: {error}") from None


def json_of(one: Told) -> bytes:
    return one.json
