"""What goes over the wire, and what is read from it."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec

from order_client import requests
from order_client.answers import content
from order_client.resources import Book, Order
from tests.support.client_talks import EVENT_TIME, ORDER_ID, answer, shown_order


def test_what_is_not_given_is_not_sent_and_prices_keep_their_digits() -> None:
    body = requests.placing("k", {"quantity": 10, "limit_price": Decimal("1.0800"), "symbol": None}).body
    assert msgspec.json.decode(body) == {"quantity": 10, "limit_price": "1.0800", "client_order_id": "k"}


def test_times_are_told_in_utc_and_flags_as_words() -> None:
    time = datetime(2026, 11, 21, 10, 30, tzinfo=timezone(timedelta(hours=1)))
    target = requests.reading("/orders", {"placed_after": time, "symbol": None, "status": "Placed"}).target
    assert target == "/orders?placed_after=2026-11-21T09%3A30%3A00Z&status=Placed"
    stream = requests.stream_target(7, {"channels": ("orders", "trades"), "batch": True, "order_id": UUID(ORDER_ID)})
    assert stream == f"/ws?channels=orders%2Ctrades&batch=true&order_id={ORDER_ID}&after=7"


def test_nothing_but_an_id_becomes_a_part_of_the_path() -> None:
    assert requests.order_path("a/b?c=d#e") == "/orders/a%2Fb%3Fc%3Dd%23e"
    assert requests.book_path("EUR/USD") == "/books/EUR%2FUSD"


def test_prices_are_decimal_and_times_datetime_and_unknown_fields_do_no_harm() -> None:
    order = content(answer(200, shown_order(average_price="1.08046000", executed_at=EVENT_TIME)), Order)
    assert order.order_id == UUID(ORDER_ID)
    assert (str(order.limit_price), str(order.average_price)) == ("1.08000", "1.08046000")
    assert order.executed_at == datetime(2026, 11, 21, 2, 35, 27, 589691, tzinfo=UTC)
    assert content(answer(200, shown_order(status="Suspended")), Order).status == "Suspended"


def test_a_book_has_levels() -> None:
    shown = {"symbol": "EURUSD", "position": 3, "bids": [{"price": "1.1", "quantity": 5, "orders": 1}], "asks": []}
    book = content(answer(200, shown), Book)
    assert [(level.price, level.quantity, level.orders) for level in book.bids] == [(Decimal("1.1"), 5, 1)]
