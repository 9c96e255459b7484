"""A venue's journal full of execution reports, and the orders that they are of, in the log and at the venue already."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

import uuid_utils
from msgspec import Struct

from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.order import Order, fold
from orders.domain.terms import Rules
from orders.domain.values import OrderType
from orders.eventstore.port import Appended, EventStore, Unit
from simulated_exchange.draft import Draft
from simulated_exchange.engine import Engine
from simulated_exchange.entries import Entry, encode_entry
from simulated_exchange.house import House
from simulated_exchange.journal import FILE_NAME, prepare_journal
from simulated_exchange.protocol import HouseFill, Submit
from simulated_exchange.state import ExchangeState

ORDERS_AN_APPEND = 200  # three events each: some 250 kB
ROOM = 10  # shares a fill has
PRICE = Decimal("1.10000")


class Shape(Struct, frozen=True):
    """So many orders, each filled so many times; `abreast` are worked on at a time, and filled in turns."""

    orders: int
    fills: int
    abreast: int

    @property
    def recorded(self) -> int:
        """Events that the reports come to: that the order was accepted is known from the call already."""
        return self.orders * self.fills


def orders_at_the_venue(store: EventStore, shape: Shape) -> list[UUID]:
    """The orders, in the log: placed, submitted and accepted."""
    order_ids = [new_id() for _ in range(shape.orders)]
    units = (_at_the_venue(order_id, shape.fills * ROOM) for order_id in order_ids)
    while part := list(islice(units, ORDERS_AN_APPEND)):
        if not all(isinstance(answer, Appended) for answer in store.append(part)):
            raise RuntimeError("the log is not empty")
    return order_ids


def _at_the_venue(order_id: UUID, quantity: int) -> Unit:
    terms = c.Terms(symbol="EURUSD", quantity=quantity, type=OrderType.LIMIT, limit_price=PRICE)
    order: Order | None = None
    events = []
    for kind, fields in (
        (c.PlaceOrder, {"account": "load", "terms": terms}),
        (c.StartSubmit, {"worker": "load"}),
        (c.RecordAccepted, {"venue_order_id": "V"}),
    ):
        command = kind(order_id=order_id, command_id=new_id(), at=datetime.now(UTC), by="load", **fields)
        told = decide(order, command, Rules())
        events += told
        order = fold(order_id, told, order)
    return Unit(order_id, 0, tuple(events))


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)


def write_journal(folder: Path, order_ids: Sequence[UUID], shape: Shape) -> None:
    """What the exchange would have written, by its own engine."""
    folder.mkdir(parents=True)
    path = folder / FILE_NAME
    header = prepare_journal(path, str(uuid4()))
    with path.open("ab") as file:
        for entry in _history(Engine(ExchangeState(header.journal), House(1, (0, 0))), order_ids, shape):
            _write(file, entry)


def _write(file: BinaryIO, entry: Entry) -> None:
    file.write(encode_entry(entry)[0])


def _history(engine: Engine, order_ids: Sequence[UUID], shape: Shape) -> Iterator[Entry]:
    now = time.time_ns() // 1000
    price = 110_000_000
    for start in range(0, len(order_ids), shape.abreast):
        worked = [str(order_id) for order_id in order_ids[start : start + shape.abreast]]
        for order_id in worked:
            submit = Submit(0, order_id, "EURUSD", "buy", "limit", shape.fills * ROOM, "gtc", str(PRICE))
            entry = engine.handle(submit, now).entry
            assert entry is not None
            yield entry
        for _ in range(shape.fills):
            for order_id in worked:
                draft = Draft(engine.state, HouseFill(order_id), now)
                draft.fill(engine.state.orders[order_id], ROOM, price, "house")
                yield engine.commit(draft)
