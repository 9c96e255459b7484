"""Any command, for an order in any state: mostly what could well be said of it now, sometimes what could not.

Drawn by a random.Random: a state machine of hypothesis that draws each field repeats itself too much to go far.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from orders.domain import commands as c
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Evidence, OrderType, Side, TimeInForce

Said = tuple[type[c.Command], dict[str, Any]]
Giver = Callable[[Random, Order, list[UUID]], Said]
"""Says something of the order, with the ids of the requests that were made so far."""

ORDER_ID = UUID("0192d3a0-0000-7000-8000-000000000001")
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
UNKNOWN_REQUEST = UUID("0192d3a0-0000-7000-8000-00000000ffff")

PRICES = [Decimal(price) for price in ("1.10", "1.1", "0.99999", "1.20001", "100")]
FILL_PRICES = [*PRICES, *(Decimal(price) for price in ("1E+2", "0", "-37.63", "1.083500000000000001"))]
NO_PRICES = [Decimal(price) for price in ("NaN", "sNaN", "Infinity", "1E+300", "1E-300")]
EXEC_IDS = "ABCDEFGHIJ"
"""Few, so that repeats, chains and references to the unknown are many."""
WORDS = [Evidence.VENUE_ANSWER, Evidence.VENUE_REPORT, Evidence.VENUE_QUERY]


def mostly(random: Random, likely: list[Any], unlikely: list[Any]) -> Any:
    return random.choice(unlikely if random.random() < 0.04 else likely)


def any_venue(random: Random) -> Capabilities:
    can = {name: random.random() < 0.7 for name in ("deduplicates", "queries", "cancels", "replaces")}
    return Capabilities(**can)


def any_order(random: Random) -> dict[str, Any]:
    """The fields of a PlaceOrder that is acceptable."""
    limited = random.random() < 0.5
    terms = c.Terms(
        **random.choice([{"symbol": "EURUSD"}, {"symbol": "USDCAD"}]),
        quantity=random.randint(1, 30),
        side=random.choice(list(Side)),
        type=OrderType.LIMIT if limited else OrderType.MARKET,
        limit_price=random.choice(PRICES) if limited else None,
        time_in_force=random.choice(list(TimeInForce)),
    )
    return {"account": "local", "terms": terms, "client_order_id": random.choice([None, "desk-1"])}


def client_command(random: Random, order: Order, requests: list[UUID]) -> Said:
    if random.random() < 0.3:
        return c.CancelOrder, {}
    return c.ReplaceOrder, {
        "quantity": mostly(random, [None, order.quantity + 1, random.randint(1, 30)], [0, 10**30]),
        "limit_price": mostly(random, [None, _price(random, order)], [Decimal("1.1"), Decimal("NaN")]),
    }


def call_outcome(random: Random, order: Order, requests: list[UUID]) -> Said:
    """Of the calls that submit the order: what comes next, and now and then what does not."""
    likely = {
        Delivery.QUEUED: [_start],
        Delivery.SENDING: [_failed, _doubt, _accepted],
        Delivery.IN_DOUBT: [_start, _start, _failed, _accepted],
    }.get(order.delivery, [_accepted])
    say: Callable[[Random, Order], Said] = random.choice(likely * 4 + [_start, _failed, _doubt, _accepted])
    return say(random, order)


def answer(random: Random, order: Order, requests: list[UUID]) -> Said:
    """To a request that waits, to an old one, or to one that nobody knows."""
    change = order.pending_replace
    waiting = [request for request in (order.pending_cancel, change.request_id if change else None) if request]
    waiting += [late.request_id for late in order.unheard]
    fields = {"request_id": random.choice([*waiting * 4, None, UNKNOWN_REQUEST, *requests]), "evidence": _word(random)}
    kinds = [c.RecordCancelRejected, c.RecordReplaceRejected, c.RecordReplaced]
    kind = random.choice([*kinds, *[c.RecordReplaced] * 4 * len(order.unheard)])
    if kind is not c.RecordReplaced:
        return kind, {**fields, "reason": "busy"}
    likely = [random.randint(1, 30), order.filled or 1, change.quantity if change else order.quantity]
    return kind, {**fields, "quantity": mostly(random, likely, [0, -1]), "limit_price": _price(random, order)}


def execution(random: Random, order: Order, requests: list[UUID]) -> Said:
    kind = random.choice([c.RecordExecution, c.RecordExecution, c.RecordExecution, c.RecordBust, c.RecordCorrection])
    fields: dict[str, Any] = {"exec_id": random.choice(EXEC_IDS)}
    if kind is not c.RecordExecution:
        fields["ref_exec_id"] = random.choice(EXEC_IDS)
    if kind is not c.RecordBust:
        left = max(order.quantity - order.filled, 1)
        fields["quantity"] = mostly(random, [random.randint(1, 9), left], [0, -1, 10**30])
        fields["price"] = mostly(random, FILL_PRICES, NO_PRICES)
    if kind is c.RecordExecution:
        fields |= {"leaves": random.choice([None, 0, 0, random.randint(0, 5)]), "evidence": _word(random)}
    return kind, fields


def operator_command(random: Random, order: Order, requests: list[UUID]) -> Said:
    any_kind = [c.ParkPlacement, c.ResumePlacement, c.ResolveDoubt]
    likely = {Delivery.PARKED: [c.ResumePlacement], Delivery.IN_DOUBT: [c.ResolveDoubt]}.get(order.delivery, [])
    kind = random.choice(likely * 4 + any_kind)
    return kind, {"reason": "asked"} | ({"placed": random.random() < 0.4} if kind is c.ResolveDoubt else {})


def end(random: Random, order: Order, requests: list[UUID]) -> Said:
    """On the venue's word, or with the day."""
    kind = random.choice([c.ExpireUnsent, c.RecordRejected, c.RecordExpired, c.RecordCanceled])
    if kind is c.ExpireUnsent:
        return kind, {}
    fields: dict[str, Any] = {"reason": "halt", "evidence": _word(random)}
    if kind is c.RecordRejected:
        fields["attempt"] = random.choice([None, order.attempts, *order.in_doubt])
    return kind, fields | ({"request_id": order.pending_cancel} if kind is c.RecordCanceled else {})


def _start(random: Random, order: Order) -> Said:
    return c.StartSubmit, {"worker": "worker-1"}


def _accepted(random: Random, order: Order) -> Said:
    return c.RecordAccepted, {"venue_order_id": random.choice([None, "V-1"]), "evidence": _word(random)}


def _doubt(random: Random, order: Order) -> Said:
    return c.RecordSubmitInDoubt, {"attempt": mostly(random, [order.attempts], [1, 2]), "reason": "timeout"}


def _failed(random: Random, order: Order) -> Said:
    open_ones = [*order.in_doubt, order.attempts]
    attempts = random.choice([tuple(open_ones), (random.choice(open_ones),), (1,), ()])
    evidence = random.choice([Evidence.NEVER_SENT, _word(random)])
    return c.RecordSubmitFailed, {"attempts": attempts, "reason": "refused", "evidence": evidence}


def _price(random: Random, order: Order) -> Decimal | None:
    return None if order.placed.type is OrderType.MARKET else random.choice(PRICES)


def _word(random: Random) -> Evidence:
    word: Evidence = mostly(random, WORDS, list(Evidence))
    return word
