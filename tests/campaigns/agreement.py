"""Compares the log with the journal of the simulated exchange, order by order and execution by execution.

What each side says of an order is brought into one form (`Account`), each from its own record alone. Both are read in
parts, by order id, so that the memory it takes does not grow with the number of orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby, pairwise
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
from msgspec import Struct

from load.balance import Findings
from orders.domain import events as e
from orders.domain.order import Order, fold
from orders.domain.values import Delivery, Evidence, Phase
from orders.eventstore.codec import decode
from simulated_exchange import protocol as x
from simulated_exchange.audit import audit
from simulated_exchange.entries import Entry
from simulated_exchange.journal import read_journal

ORDERS_A_PART = 10_000  # some 50 MB
PAGE_EVENTS = 2_000
NEVER_PLACED = "never placed"

_STATES = {
    Phase.FILLED: "executed",
    Phase.CANCELED: "canceled",
    Phase.EXPIRED: "expired",
    Phase.REJECTED: "rejected",
}
_READ_PART = """
    select originator_id, topic, state from public.order_events where originator_id between %s and %s
    order by originator_id, originator_version
"""


class Execution(Struct, frozen=True):
    kind: str
    ref_exec_id: str | None
    quantity: int
    price: Decimal | None


class Account(Struct):
    """What one side says of an order. `replaces` are the requests that were carried out at the exchange, in order."""

    state: str
    quantity: int
    limit_price: Decimal | None
    filled: int = 0
    executions: dict[str, Execution] = {}
    replaces: list[str] = []


class Agreement(Struct):
    """`findings` is empty where both sides say the same."""

    orders: int = 0
    executions: int = 0
    states: Counter[str] = msgspec.field(default_factory=Counter)
    events: Counter[str] = msgspec.field(default_factory=Counter)
    findings: Findings = msgspec.field(default_factory=Findings)


def agreement(url: str, journal: Path, *, orders: int) -> Agreement:
    """Of the log at `url` and a journal that nobody writes any more; `orders` is about how many there are."""
    found = Agreement()
    for low, high in parts(max(1, -(-orders // ORDERS_A_PART))):
        mine = _orders_only(histories(url, low, high), found)
        compare(mine, _entries_of(read_journal(journal), low, high), found)
    return found


def parts(count: int) -> Iterator[tuple[UUID, UUID]]:
    """The ids of all orders in so many ranges, both ends included."""
    bounds = [(1 << 128) * number // count for number in range(count + 1)]
    for low, high in pairwise(bounds):
        yield UUID(int=low), UUID(int=high - 1)


def compare(here: Iterable[tuple[UUID, list[e.OrderEvent]]], there: Iterable[Entry], found: Agreement) -> None:
    """Adds to `found` what these histories of ours and these entries of the exchange's journal say of one another."""
    venue = accounts_of(there, found.findings)
    for order_id, events in here:
        order = fold(order_id, events)
        assert order is not None
        ours = account_of(order, events, found.findings)
        found.orders += 1
        found.executions += len(ours.executions)
        found.states[ours.state] += 1
        theirs = venue.pop(str(order_id), None)
        for name, text in _differences(order, ours, theirs):
            found.findings.add(name, f"{order_id} {text}")
    for foreign in venue:
        found.findings.add("unknown", f"{foreign} is at the exchange, and nobody placed it")


def account_of(order: Order, events: Iterable[e.OrderEvent], findings: Findings) -> Account:
    """What our log says. An execution that was recorded twice is a finding, though only one of them counts."""
    ours = Account(_state(order), order.quantity, order.limit_price, order.filled)
    for event in events:
        match event:
            case e.OrderExecuted() | e.ExecutionCorrected() | e.ExecutionBusted():
                if event.exec_id in ours.executions:
                    findings.add("double execution", f"{order.id} has {event.exec_id} recorded twice")
                ours.executions[event.exec_id] = _execution(event)
            case e.OrderReplaced(request_id=UUID() as request_id) if event.evidence is not Evidence.NEVER_PLACED:
                ours.replaces.append(str(request_id))
    return ours


def _state(order: Order) -> str:
    if order.phase in (Phase.CANCELED, Phase.EXPIRED) and order.closed_by is Evidence.NEVER_PLACED:
        return NEVER_PLACED
    if order.phase is not Phase.OPEN:
        return _STATES[order.phase]
    if order.delivery is not Delivery.ACKED:
        return order.delivery.value
    return "working" if order.pending_cancel is None and order.pending_replace is None else "pending"


def _execution(event: e.OrderExecuted | e.ExecutionCorrected | e.ExecutionBusted) -> Execution:
    match event:
        case e.OrderExecuted():
            return Execution("filled", None, event.quantity, event.price)
        case e.ExecutionCorrected():
            return Execution("corrected", event.ref_exec_id, event.quantity, event.price)
        case e.ExecutionBusted():
            return Execution("busted", event.ref_exec_id, 0, None)


def accounts_of(entries: Iterable[Entry], findings: Findings) -> dict[str, Account]:
    """What the exchange says, by order; its journal is checked for itself on the way."""
    accounts: dict[str, Account] = {}
    checked = audit(_noting(entries, accounts))
    for text in checked.findings:
        findings.add("exchange", text)
    for order_id, account in accounts.items():
        account.state, account.filled = checked.orders[order_id].state, checked.orders[order_id].filled
    return accounts


def _noting(entries: Iterable[Entry], accounts: dict[str, Account]) -> Iterator[Entry]:
    for entry in entries:
        for report in entry.reports:
            _note(accounts, report)
        yield entry


def _note(accounts: dict[str, Account], report: x.AnyReport) -> None:
    """What `audit` does not keep: prices, single executions, which requests were carried out."""
    if isinstance(report, x.AcceptedReport | x.RejectedReport):
        new = Account("working", report.quantity, _price(report.limit_price))
        accounts.setdefault(report.order_id, new)
    elif (account := accounts.get(report.order_id)) is None:
        return  # `audit` says it
    elif isinstance(report, x.ReplacedReport):
        account.quantity, account.limit_price = report.quantity, _price(report.limit_price)
        account.replaces.append(report.request_id)
    elif isinstance(report, x.FilledReport):
        account.executions[report.exec_id] = Execution("filled", None, report.quantity, Decimal(report.price))
    elif isinstance(report, x.CorrectedReport):
        price = Decimal(report.price)
        account.executions[report.exec_id] = Execution("corrected", report.ref_exec_id, report.quantity, price)
    elif isinstance(report, x.BustedReport):
        account.executions[report.exec_id] = Execution("busted", report.ref_exec_id, 0, None)


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _differences(order: Order, ours: Account, theirs: Account | None) -> Iterator[tuple[str, str]]:
    """Each as the finding's name and the rest of a sentence about the order."""
    if theirs is None:
        if ours.state not in (NEVER_PLACED, Delivery.PARKED.value):
            yield "not placed", f"is {ours.state} (version {order.version}) and not at the exchange"
        return
    for name in ("state", "quantity", "limit_price", "filled", "replaces"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        if mine != other:
            yield name, f"has {name} {mine}, at the exchange {other} (version {order.version})"
    for exec_id in ours.executions.keys() | theirs.executions.keys():
        mine, other = ours.executions.get(exec_id), theirs.executions.get(exec_id)
        if other is None:
            yield "invented execution", f"has {exec_id}, which the exchange never made: {mine}"
        elif mine is None:
            yield "lost execution", f"lacks {exec_id}: {other}"
        elif mine != other:
            yield "execution", f"has {exec_id} as {mine}, at the exchange {other}"


def histories(url: str, low: UUID, high: UUID) -> Iterator[tuple[UUID, list[e.Event]]]:
    """Of the streams in a range of ids, each with all its events."""
    with psycopg.connect(url) as connection, connection.cursor(name="part") as cursor:
        cursor.itersize = PAGE_EVENTS
        cursor.execute(_READ_PART, [low, high])
        for stream_id, rows in groupby(cursor, key=lambda row: row[0]):
            yield stream_id, [decode(topic, bytes(state)) for _, topic, state in rows]


def _orders_only(
    streams: Iterable[tuple[UUID, list[e.Event]]], found: Agreement
) -> Iterator[tuple[UUID, list[e.OrderEvent]]]:
    """Every report is of an order that was placed here: what stands on the venue's own stream is a finding."""
    for stream_id, events in streams:
        found.events.update(e.event_name(event) for event in events)
        ours = [event for event in events if isinstance(event, e.OrderEvent)]
        if len(ours) < len(events):
            found.findings.add("unmatched", f"{len(events) - len(ours)} reports were of orders that nobody knew")
        if ours:
            yield stream_id, ours


def _entries_of(entries: Iterable[Entry], low: UUID, high: UUID) -> Iterator[Entry]:
    """The entries with the reports of a part only."""
    is_mine = _is_within(low, high)
    for entry in entries:
        if mine := [report for report in entry.reports if is_mine(report.order_id)]:
            yield msgspec.structs.replace(entry, reports=mine)


def _is_within(low: UUID, high: UUID) -> Callable[[str], bool]:
    """Of ids as the journal writes them; one that is none of ours belongs to some part, too."""
    first, last = str(low), str(high)
    lowest, highest = low.int == 0, high.int == (1 << 128) - 1
    return lambda order_id: (lowest or first <= order_id) and (highest or order_id <= last)
