"""Integration events: what happens to orders, for other services, one event a message.

Each is a CloudEvent 1.0 in AMQP's binary content mode: the attributes are headers `cloudEvents_...`, the body is the
data as JSON (`OrderEventData`). The topic exchange is `orders.events`; the routing key is `<event>.<symbol>.<account>`.
They come at least once and, from one relay, in the order of their positions; whoever takes them ignores what is not
newer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import quote
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from event_relay.bounds import MAX_ROUTING_WORD
from orders.broker.link import Outgoing
from orders.domain import events as e
from orders.domain.instruments import Catalogue
from orders.domain.resource import printed, told_beside
from orders.domain.values import OrderType, OrdStatus, Side, Status, TimeInForce
from orders.eventstore.port import Recorded

EVENTS_EXCHANGE = "orders.events"
VERSION = 1
TYPE_PREFIX = "order-service."
"""A CloudEvent's type is this, the event's name and the version: order-service.OrderPlaced.v1."""
DATA_SCHEMA = f"urn:order-service:order-event:v{VERSION}"

_POSITION_DIGITS = 20
"""The extension `sequence` is compared as text, so the position has leading zeros."""


class OrderEventData(Struct, frozen=True, kw_only=True):
    """What happened (`event`), and the order after it. `position` orders all events, `version` those of one order.

    Prices are decimal strings. The last fields stand only where the event has them: of a fill or a correction its
    exec_id, quantity and price, of a bust or a correction what it refers to, of an end or a rejection its reason. Later
    releases may add fields to this version: ignore what you do not know.
    """

    event: Literal[
        "OrderPlaced",
        "OrderExecuted",
        "OrderReplaced",
        "OrderCanceled",
        "OrderRejected",
        "OrderExpired",
        "ExecutionBusted",
        "ExecutionCorrected",
    ]
    event_id: UUID
    order_id: UUID
    account: str
    client_order_id: str | None
    status: Status
    ord_status: OrdStatus
    symbol: str
    instrument: str | None
    side: Side
    type: OrderType
    limit_price: str | None
    quantity: int
    time_in_force: TimeInForce
    filled_quantity: int
    average_price: str | None
    version: int
    position: int
    time: datetime
    exec_id: str | UnsetType = UNSET
    ref_exec_id: str | UnsetType = UNSET
    last_quantity: int | UnsetType = UNSET
    last_price: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


def integration_messages(catalogue: Catalogue, source: str) -> Callable[[list[Recorded]], list[Outgoing]]:
    """What of a part of the log goes to other services. `source` is the CloudEvents attribute: whose they are."""

    def messages(batch: list[Recorded]) -> list[Outgoing]:
        return [
            _message(recorded, recorded.event, catalogue, source)
            for recorded in batch
            if isinstance(recorded.event, e.TOLD_TO_CLIENTS)
        ]

    return messages


def routing_key(event: str, symbol: str, account: str) -> str:
    """`<event>.<symbol>.<account>`, each one word for a topic exchange."""
    return f"{event}.{routing_word(symbol)}.{routing_word(account)}"


def routing_word(text: str) -> str:
    """As it is, but for what may not stand in a word (dots, spaces, `*`, `#` and what is not ASCII): that is written as
    in a URL (RFC 3986 2.1). A word that gets too long ends with a part of its hash instead."""
    word = quote(text, safe="@:+/=!$&'(),;").replace(".", "%2E")
    if len(word) <= MAX_ROUTING_WORD:
        return word
    digest = sha256(text.encode()).hexdigest()[:32]
    return f"{word[: MAX_ROUTING_WORD - len(digest) - 1]}~{digest}"


def _message(recorded: Recorded, event: e.OrderEvent, catalogue: Catalogue, source: str) -> Outgoing:
    name = e.event_name(event)
    headers = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": str(event.event_id),
        "cloudEvents_source": source,
        "cloudEvents_type": f"{TYPE_PREFIX}{name}.v{VERSION}",
        "cloudEvents_subject": str(recorded.stream_id),
        "cloudEvents_time": event.at.isoformat().replace("+00:00", "Z"),
        "cloudEvents_dataschema": DATA_SCHEMA,
        "cloudEvents_sequence": f"{recorded.position:0{_POSITION_DIGITS}}",
    }
    return Outgoing(
        routing_key=routing_key(name, event.after.symbol, event.after.account),
        body=_encoder.encode(data_of(recorded, event, catalogue)),
        message_id=str(event.event_id),
        headers=headers,
        timestamp=event.at,
    )


def data_of(recorded: Recorded, event: e.OrderEvent, catalogue: Catalogue) -> OrderEventData:
    after = event.after
    price = after.limit_price
    return OrderEventData(
        event=e.event_name(event),  # type: ignore[arg-type]  # the literals are the names of TOLD_TO_CLIENTS
        event_id=event.event_id,
        order_id=recorded.stream_id,
        account=after.account,
        client_order_id=after.client_order_id,
        status=after.status,
        ord_status=after.ord_status,
        symbol=after.symbol,
        instrument=after.instrument,
        side=after.side,
        type=after.type,
        limit_price=None if price is None else printed(catalogue, after.symbol, price),
        quantity=after.quantity,
        time_in_force=after.time_in_force,
        filled_quantity=after.filled_quantity,
        average_price=None if after.average_price is None else f"{after.average_price:f}",
        version=recorded.version,
        position=recorded.position,
        time=event.at,
        **told_beside(event, catalogue),
    )


_encoder = msgspec.json.Encoder()
