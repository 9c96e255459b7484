"""Each message is a function of one event."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from orders.domain import commands as c
from orders.domain.instruments import BUILT_IN
from orders.eventstore.memory import MemoryEventStore
from orders.eventstore.port import Recorded
from projections.feed import Entry, Subscription, entries
from projections.feed_messages import (
    OrderMessage,
    TradeBusted,
    TradeCorrected,
    TradeMessage,
    order_message,
    text_of,
)
from tests.support.trading_desk import TradingDesk


@pytest.fixture
def desk() -> TradingDesk:
    return TradingDesk(MemoryEventStore())


def told(desk: TradingDesk, *channels: str, **wanted: Any) -> list[dict[str, Any]]:
    """What a client of these channels hears of all that happened; of orders, if none is named."""
    wanted = {"detail": True, **({"channels": frozenset(channels)} if channels else {}), **wanted}
    tellings = [entry.telling(Subscription(**wanted)) for entry in entries(desk.log(), BUILT_IN)]
    return [msgspec.json.decode(text) for telling in tellings if telling for text in telling.texts]


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
    assert between.telling(Subscription()) is None
    assert between.telling(Subscription(detail=True)) is not None


def test_filters_hold_together(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD")
    entry = entry_of(desk)
    assert entry.telling(Subscription(symbol="EURUSD", order_id=order_id)) is not None
    assert entry.telling(Subscription(symbol="USDCAD", order_id=order_id)) is None
    assert entry.telling(Subscription(symbol="EURUSD", order_id=UUID(int=7))) is None
    assert entry.telling(Subscription(channels=frozenset({"trades"}))) is None
    assert entry.telling(Subscription(account="another")) is None


def test_a_text_is_made_once_and_shared(desk: TradingDesk) -> None:
    desk.fill(desk.place(), 100)
    entry = entry_of(desk)
    for channels in ({"orders"}, {"trades"}, {"orders", "trades"}):
        one, other = Subscription(channels=frozenset(channels)), Subscription(channels=frozenset(channels))
        assert entry.telling(one) is entry.telling(other)


def test_a_price_of_a_symbol_that_left_the_catalogue_is_shown_as_it_is(desk: TradingDesk) -> None:
    desk.place("EURUSD", 10, "1.1")
    recorded = desk.log()[0]
    gone = msgspec.structs.replace(recorded.event.after, symbol="GONE")
    event = msgspec.structs.replace(recorded.event, after=gone)
    assert order_message(Recorded(1, recorded.stream_id, 1, event), event, BUILT_IN).limit_price == "1.1"


def test_a_fill_is_told_as_a_trade_and_so_are_its_correction_and_bust(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD", 10, client_order_id="k")
    desk.fill(order_id, 4, "1.1", "e1")
    desk.do(order_id, c.RecordCorrection, exec_id="c1", ref_exec_id="e1", quantity=3, price=Decimal("1.2"))
    desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="c1")
    fill, correction, bust = told(desk, "trades")
    assert fill == {
        "type": "trade",
        "exec_id": "e1",
        "order_id": str(order_id),
        "client_order_id": "k",
        "symbol": "EURUSD",
        "side": "buy",
        "quantity": 4,
        "price": "1.10000",
        "time": "2026-11-02T09:30:02Z",
        "position": 2,
    }
    names = ("type", "exec_id", "ref_exec_id", "quantity", "price", "position")
    assert [correction.get(name) for name in names] == ["trade_corrected", "c1", "e1", 3, "1.20000", 3]
    assert [bust.get(name) for name in names] == ["trade_busted", "b1", "c1", None, None, 4]


def test_of_two_messages_of_one_position_the_first_says_that_another_follows(desk: TradingDesk) -> None:
    desk.fill(desk.place(), 100)
    both = told(desk, "orders", "trades")
    assert [(one.get("event"), one["type"], one["position"], one.get("more")) for one in both] == [
        ("OrderPlaced", "market", 1, None),
        ("OrderExecuted", "market", 2, True),
        (None, "trade", 2, None),
    ]
    assert not any("more" in one for one in told(desk, "orders") + told(desk, "trades"))


def test_every_message_is_what_its_struct_says(desk: TradingDesk) -> None:
    order_id = desk.place("EURUSD", 10, "1.1")
    desk.fill(order_id, 4, "1.1", "e1")
    desk.do(order_id, c.RecordCorrection, exec_id="c1", ref_exec_id="e1", quantity=3, price=Decimal("1.2"))
    desk.do(order_id, c.RecordBust, exec_id="b1", ref_exec_id="c1")
    kinds = {"trade": TradeMessage, "trade_busted": TradeBusted, "trade_corrected": TradeCorrected}
    for one in told(desk, "orders", "trades"):
        message = msgspec.convert(one, kinds.get(one["type"], OrderMessage), strict=False)
        assert msgspec.json.decode(text_of(message)) == one


def test_who_hears_of_an_entry_is_in_one_of_its_circles_and_no_other_account_is(desk: TradingDesk) -> None:
    ours, other = desk.place("EURUSD", 10, "1.1"), desk.place("USDCAD", 10, "1.1")
    for account in ("local", "somebody"):
        for symbol in (None, "EURUSD", "USDCAD"):
            for order_id in (None, ours, other):
                wanted = Subscription(account=account, symbol=symbol, order_id=order_id)
                for entry in entries(desk.log(), BUILT_IN):
                    hears, meets = entry.telling(wanted) is not None, wanted.circle in entry.circles
                    assert meets or not hears
                    assert account == "local" or not meets
