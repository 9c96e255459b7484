"""A log of realistic order histories, written fast: the domain decides a few hundred, many orders live each of them.

An order is placed, submitted, accepted, filled in parts, canceled, changed, refused or in doubt for a while. Orders
overlap as they do in a market's day: a few thousand are worked on at a time, in no order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import uuid_utils
from msgspec import Struct

from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.order import Order, fold
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, OrderType, Side, order_id_for_key
from orders.eventstore import codec
from orders.eventstore.port import Appended, EncodedUnit, EventStore, Unit

HISTORIES = 500
ABREAST = 2_000  # orders worked on at a time
UNITS_AN_APPEND = 1_000  # some 500 kB
ACCOUNTS = 20
KEYED_SHARE = 0.5  # of the orders have a client_order_id, and with it an id in no order of time
SYMBOLS = ("EURUSD", "USDEUR", "CADUSD", "USDCAD")
KEY = b"key-0000000000"
"""Stands in the histories where each order has a key of its own."""

OPENING = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
RULES = Rules(venue=Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True, reports=True))

Step = tuple[type[c.Command], dict[str, Any]]


class History(Struct, frozen=True):
    """The stored events of each command, in order."""

    account: str
    keyed: bool
    units: Sequence[EncodedUnit]


def fill_log(store: EventStore, events: int, *, seed: int = 1) -> int:
    """Appends whole histories, some `events` events in all; the number of orders. The log is empty before."""
    orders: set[UUID] = set()
    for units in appends(events, seed=seed):
        if not all(isinstance(answer, Appended) for answer in store.append_encoded(units)):
            raise RuntimeError("the log is not empty")
        orders.update(unit.stream_id for unit in units)
    return len(orders)


def appends(events: int, *, seed: int = 1, units_an_append: int = UNITS_AN_APPEND) -> Iterator[list[EncodedUnit]]:
    """Whole histories of some `events` events in all, as appends of so many units."""
    dice = random.Random(seed)
    histories = [_history(dice, number) for number in range(HISTORIES)]
    working: list[list[EncodedUnit]] = []  # what is still to be appended of each, the next unit last
    orders = planned = 0
    while True:
        while planned < events and len(working) < ABREAST:
            history = dice.choice(histories)
            working.append(_lived(history, orders))
            orders += 1
            planned += sum(len(unit.states) for unit in history.units)
        if not working:
            return
        dice.shuffle(working)
        yield [order.pop() for order in working[:units_an_append]]
        working = [order for order in working if order]


def _lived(history: History, number: int) -> list[EncodedUnit]:
    """The history as that of an order of its own, last unit first."""
    key = f"key-{number:010d}"
    order_id = order_id_for_key(history.account, key) if history.keyed else UUID(int=uuid_utils.uuid7().int)
    return [_own(unit, order_id, key.encode() if history.keyed else KEY) for unit in reversed(history.units)]


def _own(unit: EncodedUnit, order_id: UUID, key: bytes) -> EncodedUnit:
    states = unit.states if key == KEY else tuple(state.replace(KEY, key) for state in unit.states)
    return EncodedUnit(order_id, unit.expected_version, unit.topics, states, unit.size_bytes)


def _history(dice: random.Random, number: int) -> History:
    account = f"account-{number % ACCOUNTS}"
    keyed = dice.random() < KEYED_SHARE
    order_id = UUID(int=number + 1)
    now = OPENING + timedelta(seconds=number)
    order: Order | None = None
    units = []
    for kind, fields in _steps(dice, account, KEY.decode() if keyed else None):
        now += timedelta(milliseconds=dice.randrange(1, 60_000))
        who: dict[str, Any] = {
            "order_id": order_id,
            "command_id": UUID(int=dice.getrandbits(128)),
            "at": now,
            "by": account,
        }
        told = decide(order, kind(**who, **fields), RULES)
        if not told:
            continue
        units.append(codec.encode_unit(Unit(order_id, 0 if order is None else order.version, tuple(told))))
        order = fold(order_id, told, order)
    return History(account, keyed, units)


def _steps(dice: random.Random, account: str, key: str | None) -> list[Step]:
    """Six events an order on average."""
    quantity = dice.randrange(4, 500)
    price = Decimal(dice.randrange(100_000, 130_000)).scaleb(-5)
    limit: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": price} if dice.random() < 0.8 else {}
    terms = c.Terms(symbol=dice.choice(SYMBOLS), quantity=quantity, side=dice.choice(list(Side)), **limit)
    steps: list[Step] = [
        (c.PlaceOrder, {"account": account, "terms": terms, "client_order_id": key}),
        (c.StartSubmit, {"worker": "worker"}),
    ]
    chance = dice.random()
    if chance < 0.05:
        return [*steps, (c.RecordRejected, {"reason": "no such market", "attempt": 1})]
    if chance < 0.1:
        steps += [(c.RecordSubmitInDoubt, {"attempt": 1, "reason": "no answer within 2 s"})]
    steps += [(c.RecordAccepted, {"venue_order_id": f"V-{dice.getrandbits(32)}"})]
    if chance < 0.2:
        return steps
    if chance < 0.35:
        return [*steps, *_fills(dice, quantity // 2, price), (c.CancelOrder, {}), (c.RecordCanceled, {})]
    return [*steps, *_fills(dice, quantity, price)]


def _fills(dice: random.Random, quantity: int, price: Decimal) -> list[Step]:
    """Of so many shares, in one to four parts."""
    cuts = sorted(dice.sample(range(1, quantity), min(quantity - 1, dice.randrange(0, 4))))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, quantity], strict=True)]
    ids = [f"E-{dice.getrandbits(48):x}" for _ in parts]
    return [
        (c.RecordExecution, {"exec_id": exec_id, "quantity": part, "price": price})
        for exec_id, part in zip(ids, parts, strict=True)
    ]
