"""Each message is a function of one event."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from projections.feed import Entry, Subscription, entries, message
from tests.support.trading_desk import TradingDesk


@pytest.fixture
def desk() -> TradingDesk:
    return TradingDesk(MemoryEventStore())


def told(desk: TradingDesk) -> list[dict[str, Any]]:
    return [msgspec.json.decode(entry.text) for entry in entries(desk.log(), BUILT_IN)]


def entry_of(desk: TradingDesk) -> Entry:
    return list(entries(desk.log(), BUILT_IN))[-1]


def test_a_new_order_is_told_with_all_that_the_contract_names(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD", 10, "1.1", client_order_id="k")
    assert told(desk) == [
        {
            "event": "OrderPlaced",
            "order_id": str(order_id),
            "client_order_id": "k",
            "status": "Placed",
            "ord_status": "PendingNew",
            "symbol": "EURUSD",
            "instrument": None,
            "side": "buy",
            "type": "limit",
            "limit_price": "1.10000",
            "quantity": 10,
            "filled_quantity": 0,
            "average_price": None,
            "delivery": "queued",
            "version": 1,
            "position": 1,
            "time": "2026-11-02T09:30:01Z",
        }
    ]


def test_every_message_carries_the_status_after_its_event(desk: TradingDesk) -> None:
    filled = desk.place("EURUSD", 10)
    desk.fill(filled, 4)
    desk.fill(filled, 6)
    desk.cancel(desk.place())
    rejected, expired = desk.place(), desk.place()
    desk.do(rejected, c.RecordRejected, reason="no margin")
    desk.do(expired, c.RecordExpired)
    assert [(one["event"], one["status"], one["filled_quantity"]) for one in told(desk)] == [
        ("OrderPlaced", "Placed", 0),
        ("OrderExecuted", "Placed", 4),
        ("OrderExecuted", "Executed", 10),
        ("OrderPlaced", "Placed", 0),
        ("OrderCanceled", "Canceled", 0),
        ("OrderPlaced", "Placed", 0),
        ("OrderPlaced", "Placed", 0),
        ("OrderRejected", "Rejected", 0),
        ("OrderExpired", "Expired", 0),
    ]
    assert told(desk)[-2]["reason"] == "no margin"


def test_fills_corrections_and_busts_carry_their_execution(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD", 10)
    desk.fill(order_id, 4, "1.1", "e1")
    desk.do(order_id, c.RecordCorrection, exec_id="c1", ref_exec_id="e1", quantity=3, price=Decimal("1.2"))
    desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="c1")
    names = ("exec_id", "ref_exec_id", "last_quantity", "last_price", "filled_quantity", "average_price")
    assert [[one.get(name) for name in names] for one in told(desk)[1:]] == [
        ["e1", None, 4, "1.10000", 4, "1.10000000"],
        ["c1", "e1", 3, "1.20000", 3, "1.20000000"],
        ["b1", "c1", None, None, 0, None],
    ]
    assert not any(entry.detail for entry in entries(desk.log(), BUILT_IN))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (c.StartSubmit, {"worker": "w"}),
        (c.RecordAccepted, {}),
        (c.ParkPlacement, {"reason": "again and again"}),
    ],
)
def test_what_is_between_is_detail(desk: TradingDesk, kind: type[c.Command], fields: dict[str, Any]) -> None:
    order_id = desk.place()
    assert desk.do(order_id, kind, **fields)
    between = entry_of(desk)
    assert between.detail
    assert not Subscription().wants(between)
    assert Subscription(detail=True).wants(between)


def test_filters_hold_together(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD")
    entry = entry_of(desk)
    assert Subscription(symbol="EURUSD", order_id=order_id).wants(entry)
    assert not Subscription(symbol="USDCAD", order_id=order_id).wants(entry)
    assert not Subscription(symbol="EURUSD", order_id=entry.order_id.__class__(int=7)).wants(entry)
    assert not Subscription(channels=frozenset()).wants(entry)


def test_a_text_is_made_once_and_shared(desk: TradingDesk) -> None:
    desk.place()
    entry = entry_of(desk)
    assert entry.text is entry.text


def test_a_price_of_a_symbol_that_left_the_catalogue_is_shown_as_it_is(desk: TradingDesk) -> None:
    desk.place("EURUSD", 10, "1.1")
    recorded = desk.log()[0]
    gone = msgspec.structs.replace(recorded.event.after, symbol="GONE")
    event = msgspec.structs.replace(recorded.event, after=gone)
    assert message(Recorded(1, recorded.stream_id, 1, event), BUILT_IN).limit_price == "1.1"
