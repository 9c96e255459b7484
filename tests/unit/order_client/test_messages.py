"""Messages as structs."""

from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from order_client.errors import UnexpectedAnswer
from order_client.messages import (
    BookMessage,
    CaughtUp,
    OrderMessage,
    TradeBusted,
    TradeCorrected,
    TradeMessage,
    json_of,
    message_of,
    told,
)
from tests.support.client_talks import EVENT_TIME, ORDER_ID

ORDER = {
    "event": "OrderExecuted",
    "order_id": ORDER_ID,
    "client_order_id": "k",
    "status": "Placed",
    "ord_status": "PartiallyFilled",
    "symbol": "EURUSD",
    "instrument": None,
    "side": "buy",
    "type": "limit",
    "limit_price": "1.08000",
    "quantity": 10,
    "filled_quantity": 4,
    "average_price": "1.08000000",
    "delivery": "acked",
    "version": 4,
    "position": 9,
    "time": EVENT_TIME,
    "exec_id": "e1",
    "last_quantity": 4,
    "last_price": "1.08000",
    "more": True,
    "later": "field",
}
TRADE = {
    "type": "trade",
    "exec_id": "e2",
    "order_id": ORDER_ID,
    "client_order_id": None,
    "symbol": "EURUSD",
    "side": "sell",
    "quantity": 4,
    "price": "1.08000",
    "time": EVENT_TIME,
    "position": 9,
}
BOOK = {
    "type": "book",
    "symbol": "EURUSD",
    "position": 9,
    "bids": [{"price": "1.07", "quantity": 3, "orders": 2, "later": 1}],
    "asks": [],
}


def read(*shown: object) -> list[object]:
    return [message_of(one) for one in told(msgspec.json.encode(shown))]


def test_an_order_of_type_market_or_limit_is_an_orders_message() -> None:
    (one,) = read(ORDER)
    assert isinstance(one, OrderMessage)
    assert (one.order_id, one.last_price, one.more, one.reason) == (UUID(ORDER_ID), Decimal("1.08000"), True, None)


def test_each_kind_has_its_struct() -> None:
    corrected = {**TRADE, "type": "trade_corrected", "ref_exec_id": "e1"}
    kinds = read(TRADE, {**corrected, "type": "trade_busted"}, corrected, BOOK, {"type": "caught_up", "position": 3})
    assert [type(one) for one in kinds] == [TradeMessage, TradeBusted, TradeCorrected, BookMessage, CaughtUp]


def test_what_only_a_newer_client_knows_is_left_out() -> None:
    assert read({"type": "auction", "position": 3, "price": "1"}) == [None]


def test_one_message_needs_no_list_and_its_json_stays_as_it_is() -> None:
    text = '{ "type":"auction",\n"position":3 }'
    (one,) = told(text)
    assert (json_of(one), one.position, one.kind) == (text.encode(), 3, "auction")


def test_a_message_that_lacks_its_fields_is_told_as_such() -> None:
    with pytest.raises(UnexpectedAnswer):
        read({"event": "OrderPlaced", "position": 3})


@pytest.mark.parametrize("wrong", [b'{"position":3,"type":"\xff"}', b'{"position":3,"type":"book","symbol":"\xff"}'])
def test_bytes_that_are_no_text_are_told_as_such(wrong: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        [message_of(one) for one in told(wrong)]
