"""The balance of a load: every order that was sent, against what the API, the feed, the trades and the exchange say.

Pure. Each check has a number of what it looked at, and findings where something is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from load.balance import Findings, balance, counted, sums
from load.run.feed import FeedRecord, LastWord
from load.run.ledger import Ledger
from order_client import Order, Trade
from simulated_exchange.audit import Audit


class Check(Struct, frozen=True, kw_only=True):
    """`looked_at` says how much was compared, `findings` what is wrong with it."""

    name: str
    looked_at: str
    findings: list[str]

    @property
    def holds(self) -> bool:
        return not self.findings


class Closing(Struct, frozen=True, kw_only=True):
    """`sent` = `accepted` + `refused` + `unanswered`, and `accepted` is the sum of `states`."""

    sent: int
    accepted: int
    refused: dict[str, int]
    unanswered: int
    states: dict[str, int]
    checks: list[Check]

    @property
    def closes(self) -> bool:
        sums = self.accepted == sum(self.states.values())
        whole = self.sent == self.accepted + sum(self.refused.values()) + self.unanswered
        return sums and whole and not self.unanswered and all(check.holds for check in self.checks)

    def __str__(self) -> str:
        lines = sums(self.states, self.accepted, closes=self.closes)
        for check in self.checks:
            lines.append(f"{'ok    ' if check.holds else 'WRONG '} {check.name}: {check.looked_at}")
            lines += [f"       {finding}" for finding in check.findings]
        return "\n".join(lines)


class Seen(Struct, frozen=True, kw_only=True):
    """What was read back after the load. `orders` are those with a key of the load, as often as they are listed;
    `repeats` the order ids that repeated POSTs were answered with, by key; `exchange` its journal, where it can be
    read."""

    orders: list[Order]
    trades: list[Trade]
    repeats: dict[str, str]
    exchange: Audit | None


def close(ledger: Ledger, seen: Seen, records: Sequence[FeedRecord]) -> Closing:
    accepted = ledger.accepted
    orders = {str(order.order_id): order for order in seen.orders}
    found = balance(accepted, (_shown(order) for order in seen.orders))
    checks = [
        _check("Every accepted order is in exactly one state", f"{len(accepted):,} orders", found.findings),
        _unique(ledger, seen.orders),
        _repeats(ledger, seen.repeats),
        _told_once(accepted, records),
        _last_words(orders, records),
        _filled(orders, seen.trades),
        _canceled(ledger, orders),
    ]
    if seen.exchange is not None:
        checks += [_journal(seen.exchange), _at_exchange(orders, seen.exchange)]
    return Closing(
        sent=len(ledger.orders),
        accepted=len(accepted),
        refused=dict(ledger.refused),
        unanswered=len(ledger.unanswered),
        states=dict(found.states),
        checks=checks,
    )


def last_words(orders: Iterable[Order]) -> dict[str, LastWord]:
    return {str(order.order_id): LastWord(order.status, order.filled_quantity) for order in orders}


def _shown(order: Order) -> dict[str, str]:
    return {"order_id": str(order.order_id), "status": order.status, "delivery": order.delivery}


def _check(name: str, looked_at: str, findings: Findings) -> Check:
    told = list(findings.examples)
    if findings.counts.total() > len(told):
        told.append(f"{findings.counts.total():,} in all: {counted(findings.counts)}")
    return Check(name=name, looked_at=looked_at, findings=told)


def _unique(ledger: Ledger, orders: Sequence[Order]) -> Check:
    """A key has one order, and an order one key."""
    findings = Findings(ledger.findings.counts.copy(), list(ledger.findings.examples))
    ids = Counter(sent.order_id for sent in ledger.orders.values() if sent.order_id)
    for order_id, keys in ids.items():
        if keys > 1:
            findings.add("shared id", f"{order_id} was answered for {keys} keys")
    for key, number in Counter(order.client_order_id for order in orders).items():
        if number > 1:
            findings.add("key twice", f"{number} orders have the key {key}")
    return _check("Order ids and keys are unique", f"{len(ids):,} ids", findings)


def _repeats(ledger: Ledger, repeats: Mapping[str, str]) -> Check:
    """A POST that is sent again finds its own order."""
    findings = Findings()
    for key, order_id in repeats.items():
        if order_id != ledger.orders[key].order_id:
            findings.add("repeat", f"{key} is {ledger.orders[key].order_id or 'unknown'}, repeated it is {order_id}")
    return _check("A repeated POST finds the same order", f"{len(repeats):,} repeated", findings)


def _told_once(accepted: Mapping[str, str], records: Sequence[FeedRecord]) -> Check:
    findings = Findings()
    for number, record in enumerate(records):
        findings.counts.update(record.findings.counts)
        findings.examples += [f"socket {number}: {example}" for example in record.findings.examples]
        for order_id in accepted.keys() - record.placed:
            findings.add("not told", f"socket {number} was not told of {order_id}")
        for order_id in record.placed - accepted.keys():
            findings.add("unknown", f"socket {number} was told of {order_id}, which nobody was told is accepted")
    messages = sum(record.messages for record in records)
    looked_at = f"{messages:,} messages to {len(records)} sockets"
    return _check("Every socket was told of each order once, in order", looked_at, findings)


def _last_words(orders: Mapping[str, Order], records: Sequence[FeedRecord]) -> Check:
    findings = Findings()
    for order_id, word in last_words(orders.values()).items():
        for number, record in enumerate(records):
            said = record.last_words.get(order_id)
            if said is not None and said != word:
                findings.add("last word", f"{order_id} is {_told(word)}; socket {number} heard {_told(said)} last")
    return _check("The feed's last word on each order is its state", f"{len(orders):,} orders", findings)


def _told(word: LastWord) -> str:
    return f"{word.status} with {word.filled_quantity} filled"


def _filled(orders: Mapping[str, Order], trades: Sequence[Trade]) -> Check:
    findings = Findings()
    sums: Counter[str] = Counter()
    for trade in trades:
        sums[str(trade.order_id)] += trade.quantity
    for exec_id, number in Counter(trade.exec_id for trade in trades).items():
        if number > 1:
            findings.add("trade twice", f"execution {exec_id} is listed {number} times")
    for order_id, order in orders.items():
        if order.filled_quantity != sums[order_id]:
            findings.add("sum", f"{order_id} has {order.filled_quantity} filled, its trades sum up to {sums[order_id]}")
    return _check("Filled quantities are the sums of the trades", f"{len(trades):,} trades", findings)


def _canceled(ledger: Ledger, orders: Mapping[str, Order]) -> Check:
    """A cancel that was answered 200 holds; a fill that the exchange tells later may still complete the order."""
    findings = Findings()
    for order_id, status in ledger.canceled.items():
        now = orders[order_id].status if order_id in orders else "not there"
        if now != status:
            findings.add("cancel", f"{order_id} was answered as {status} and is {now}")
    return _check("A cancel that was confirmed holds", f"{len(ledger.canceled):,} cancels", findings)


def _journal(exchange: Audit) -> Check:
    findings = Findings()
    for finding in exchange.findings:
        findings.add("journal", finding)
    return _check("The exchange's journal is sound: nothing twice", f"{exchange.reports:,} reports", findings)


def _at_exchange(orders: Mapping[str, Order], exchange: Audit) -> Check:
    findings = Findings()
    for order_id in exchange.orders.keys() - orders.keys():
        findings.add("unknown", f"{order_id} is at the exchange, and nobody was told that it is accepted")
    for order_id, order in orders.items():
        placed = exchange.orders.get(order_id)
        if placed is None:
            if not _may_be_missing(order):
                findings.add("missing", f"{order_id} is {order.status}/{order.delivery} and was never at the exchange")
        elif wrong := _contradiction(order, placed.state, placed.filled):
            findings.add("differs", f"{order_id} {wrong}")
    return _check(
        "The exchange has each order once, filled as it is here", f"{len(exchange.orders):,} orders", findings
    )


def _may_be_missing(order: Order) -> bool:
    """It waits, or ended before it was sent."""
    return order.delivery != "acked" and order.filled_quantity == 0


def _contradiction(order: Order, state: str, filled: int) -> str | None:
    ended = "working" if order.status == "Placed" else order.status.lower()
    settled = order.delivery == "acked" and not order.ord_status.startswith("Pending")
    if order.filled_quantity != filled:
        return f"has {order.filled_quantity} filled, at the exchange {filled}"
    return f"is {ended}, at the exchange {state}" if settled and ended != state else None
