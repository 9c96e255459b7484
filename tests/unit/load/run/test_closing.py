"""The balance of a load: it closes where all agree, and whatever does not agree is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from load.run.closing import Closing, Seen, close
from load.run.feed import FeedRecord, Heard
from load.run.ledger import Ledger
from load.run.users import Action
from order_client import Order, Trade
from simulated_exchange.audit import Audit, Placed

AT = datetime(2026, 11, 21, tzinfo=UTC)
IDS = [str(UUID(int=number)) for number in (1, 2, 3)]


def order(number: int, **fields: Any) -> Order:
    """Of 10 EURUSD, executed."""
    known: dict[str, Any] = {
        "order_id": UUID(IDS[number]),
        "client_order_id": f"load-{number}",
        "symbol": "EURUSD",
        "instrument": None,
        "side": "buy",
        "type": "market",
        "limit_price": None,
        "quantity": 10,
        "time_in_force": "gtc",
        "status": "Executed",
        "ord_status": "Filled",
        "filled_quantity": 10,
        "average_price": Decimal("1.1"),
        "delivery": "acked",
        "created_at": AT,
        "updated_at": AT,
        "executed_at": AT,
        "version": 4,
        "position": 4,
    }
    return Order(**{**known, **fields})


def trade(number: int, exec_id: str, quantity: int = 10) -> Trade:
    return Trade(
        exec_id=exec_id,
        order_id=UUID(IDS[number]),
        client_order_id=None,
        symbol="EURUSD",
        side="buy",
        quantity=quantity,
        price=Decimal("1.1"),
        time=AT,
        position=4,
        corrects=None,
        order_traded_quantity=quantity,
        order_average_price=Decimal("1.1"),
    )


class Run:
    """Two executed orders and one canceled before it was sent, on which all agree until a test changes something."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        for number in range(3):
            self.ledger.sends(Action(operation="place", method="POST", target="/orders", key=f"load-{number}"))
            self.ledger.answered(f"load-{number}", 201, IDS[number])
        self.ledger.canceled[IDS[2]] = "Canceled"
        canceled = order(2, status="Canceled", ord_status="Canceled", filled_quantity=0, delivery="queued")
        self.orders = [order(0), order(1), canceled]
        self.trades = [trade(0, "e1", 4), trade(0, "e2", 6), trade(1, "e3")]
        self.repeats = {"load-0": IDS[0]}
        self.exchange = Audit(orders={IDS[number]: Placed(10, 10, "executed") for number in (0, 1)})
        self.record = FeedRecord("load-", after=0)
        self.tell(1, 0, "OrderPlaced", "Placed", 0)
        self.tell(2, 1, "OrderPlaced", "Placed", 0)
        self.tell(3, 2, "OrderPlaced", "Placed", 0)
        self.tell(4, 0, "OrderExecuted", "Executed", 10)
        self.tell(5, 1, "OrderExecuted", "Executed", 10)
        self.tell(6, 2, "OrderCanceled", "Canceled", 0)

    def tell(self, position: int, number: int, event: str, status: str, filled: int) -> None:
        heard = Heard(position, event, IDS[number], f"load-{number}", status, "acked", filled)
        self.record.take(heard)

    def close(self) -> Closing:
        seen = Seen(orders=self.orders, trades=self.trades, repeats=self.repeats, exchange=self.exchange)
        return close(self.ledger, seen, [self.record])


def test_a_run_on_which_all_agree_closes() -> None:
    found = Run().close()
    assert found.closes, str(found)
    assert (found.sent, found.accepted, found.states) == (3, 3, {"filled": 2, "canceled": 1})
    assert len(found.checks) == 9
    assert "closes" in str(found)


def without(number: int) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        del run.orders[number]

    return change


def shown_otherwise(number: int, **fields: Any) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.orders[number] = msgspec.structs.replace(run.orders[number], **fields)

    return change


def once_more(what: str, row: Any) -> Callable[[Run], None]:
    return lambda run: getattr(run, what).append(row)


def at_exchange(number: int, placed: Placed | None) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.exchange.orders.pop(IDS[number], None)
        if placed is not None:
            run.exchange.orders[IDS[number]] = placed

    return change


def repeated_as(order_id: str) -> Callable[[Run], None]:
    return lambda run: run.repeats.update({"load-0": order_id})


def also_answered(key: str, order_id: str) -> Callable[[Run], None]:
    def change(run: Run) -> None:
        run.ledger.sends(Action(operation="place", method="POST", target="/orders", key=key))
        run.ledger.answered(key, 201, order_id)

    return change


def told_once_more(position: int) -> Callable[[Run], None]:
    return lambda run: run.tell(position, 0, "OrderExecuted", "Executed", 10)


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (without(0), "Every accepted order is in exactly one state", "was accepted and is not shown"),
        (once_more("orders", order(0)), "Every accepted order is in exactly one state", "shown more than once"),
        (
            shown_otherwise(0, delivery="lost", status="Placed"),
            "Every accepted order is in exactly one state",
            "no state",
        ),
        (also_answered("load-9", IDS[0]), "Order ids and keys are unique", "was answered for 2 keys"),
        (shown_otherwise(1, client_order_id="load-0"), "Order ids and keys are unique", "2 orders have the key load-0"),
        (repeated_as(IDS[1]), "A repeated POST finds the same order", "load-0 is"),
        (told_once_more(4), "Every socket was told of each order once, in order", "position 4 came after 6"),
        (
            lambda run: run.record.placed.remove(IDS[0]),
            "Every socket was told of each order once, in order",
            "not told",
        ),
        (shown_otherwise(0, status="Canceled"), "The feed's last word on each order is its state", "heard Executed"),
        (shown_otherwise(0, filled_quantity=9), "Filled quantities are the sums of the trades", "sum up to 10"),
        (once_more("trades", trade(1, "e3")), "Filled quantities are the sums of the trades", "e3 is listed 2 times"),
        (
            shown_otherwise(2, status="Placed"),
            "A cancel that was confirmed holds",
            "answered as Canceled and is Placed",
        ),
        (
            lambda run: run.exchange.findings.append("report 7"),
            "The exchange's journal is sound: nothing twice",
            "report 7",
        ),
        (at_exchange(0, None), "The exchange has each order once, filled as it is here", "was never at the exchange"),
        (at_exchange(0, Placed(10, 9)), "The exchange has each order once, filled as it is here", "at the exchange 9"),
        (
            at_exchange(0, Placed(10, 10, "canceled")),
            "The exchange has each order once, filled as it is here",
            "is executed, at the exchange canceled",
        ),
        (
            lambda run: run.exchange.orders.update({"x": Placed(1)}),
            "The exchange has each order once, filled as it is here",
            "x is at the exchange, and nobody",
        ),
    ],
)
def test_what_does_not_agree_is_named_by_its_check(change: Callable[[Run], None], check: str, words: str) -> None:
    run = Run()
    change(run)
    found = run.close()
    assert not found.closes
    wrong = {one.name: " ".join(one.findings) for one in found.checks if not one.holds}
    assert words in wrong[check]
    assert "DOES NOT CLOSE" in str(found)


def test_an_order_that_nobody_ever_answered_for_keeps_the_balance_open() -> None:
    run = Run()
    run.ledger.sends(Action(operation="place", method="POST", target="/orders", key="load-9"))
    found = run.close()
    assert (found.sent, found.accepted, found.unanswered, found.closes) == (4, 3, 1, False)


def test_an_order_that_was_refused_for_good_is_accounted_for() -> None:
    run = Run()
    run.ledger.sends(Action(operation="place", method="POST", target="/orders", key="load-9"))
    run.ledger.answered("load-9", 500, "")
    assert run.ledger.unanswered == ["load-9"]
    run.ledger.answered("load-9", 422, "")
    found = run.close()
    assert (found.refused, found.closes) == ({"422": 1}, True)


def test_a_key_that_is_answered_with_two_orders_is_a_finding() -> None:
    run = Run()
    run.ledger.answered("load-0", 200, IDS[1])
    assert not run.close().closes


def test_without_the_exchanges_journal_the_other_checks_stand() -> None:
    run = Run()
    seen = Seen(orders=run.orders, trades=run.trades, repeats={}, exchange=None)
    found = close(run.ledger, seen, [run.record])
    assert (len(found.checks), found.closes) == (7, True)
