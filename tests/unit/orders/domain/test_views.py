"""An order as clients see it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from orders.domain import events as e
from orders.domain.errors import KeyReused
from orders.domain.instruments import BUILT_IN, Catalogue
from orders.domain.order import fold, view
from orders.domain.resource import resource
from orders.domain.values import Delivery, OrderView, OrdStatus, Side, Status
from tests.support.order_events import (
    OPENING,
    ORDER_ID,
    accepted,
    cancel_requested,
    canceled,
    executed,
    expired,
    placed,
    rejected,
    replace_requested,
    replaced,
    started,
)

LATER = OPENING + timedelta(seconds=1)


def seen(*history: e.OrderEvent) -> OrderView:
    order = fold(ORDER_ID, history)
    assert order is not None
    return view(order)


def test_no_events_are_no_order() -> None:
    assert fold(ORDER_ID, ()) is None


def test_a_view_shows_the_terms_in_force_and_what_is_filled() -> None:
    limited = placed(10, limit="1.10", side=Side.SELL, client_order_id="key-1")
    shown = seen(
        limited, accepted(), replaced(20, "1.20"), executed("F1", 1, price="1.2"), executed("F2", 2, price="1.3")
    )
    assert (shown.quantity, shown.limit_price, shown.side) == (20, Decimal("1.20"), Side.SELL)
    assert (shown.filled_quantity, shown.average_price) == (3, Decimal("1.26666667"))
    assert (shown.client_order_id, shown.symbol, shown.created_at) == ("key-1", "EURUSD", OPENING)


def test_an_instrument_is_shown_as_the_symbol_too() -> None:
    shown = seen(placed(instrument="US0378331005"))
    assert (shown.symbol, shown.instrument) == ("US0378331005", "US0378331005")


AT_VENUE = (placed(), started(), accepted())
FILL = executed("F1", 4)


@pytest.mark.parametrize(
    ("history", "status", "ord_status"),
    [
        ((placed(),), "Placed", "PendingNew"),
        ((placed(), started()), "Placed", "PendingNew"),
        (AT_VENUE, "Placed", "New"),
        ((*AT_VENUE, FILL), "Placed", "PartiallyFilled"),
        ((*AT_VENUE, FILL, replace_requested()), "Placed", "PendingReplace"),
        ((*AT_VENUE, FILL, replace_requested(), cancel_requested()), "Placed", "PendingCancel"),
        ((*AT_VENUE, executed("F1", 10)), "Executed", "Filled"),
        ((*AT_VENUE, cancel_requested(), executed("F1", 10)), "Executed", "Filled"),
        ((*AT_VENUE, FILL, canceled()), "Canceled", "Canceled"),
        ((*AT_VENUE, FILL, expired()), "Expired", "Expired"),
        ((placed(), started(), rejected()), "Rejected", "Rejected"),
    ],
)
def test_a_status_for_everyone_and_one_for_those_who_know_fix(
    history: tuple[e.OrderEvent, ...], status: str, ord_status: str
) -> None:
    shown = seen(*history)
    assert (shown.status, shown.ord_status) == (Status(status), OrdStatus(ord_status))


def test_the_api_prints_prices_with_the_instruments_decimals() -> None:
    shown = resource(
        ORDER_ID,
        seen(placed(10, limit="1.1"), executed("F1", 10, price="1.1")),
        BUILT_IN,
        version=2,
        position=17,
        updated_at=LATER,
    )
    assert (shown.id, shown.order_id) == (ORDER_ID, ORDER_ID)
    assert (shown.limit_price, shown.average_price) == ("1.10000", "1.10000000")
    assert (shown.version, shown.position, shown.updated_at, shown.created_at) == (2, 17, LATER, OPENING)
    assert (shown.status, shown.delivery, shown.executed_at) == (Status.EXECUTED, Delivery.ACKED, OPENING)


def test_without_prices_the_api_prints_none() -> None:
    shown = resource(ORDER_ID, seen(placed()), BUILT_IN, version=1, position=1, updated_at=OPENING)
    assert (shown.limit_price, shown.average_price, shown.executed_at) == (None, None, None)


def test_a_symbol_that_left_the_catalogue_is_printed_as_it_is_without_an_exponent() -> None:
    shown = resource(
        ORDER_ID,
        seen(placed(10, limit="1E+3"), executed("F1", 1, price="1E-8")),
        Catalogue(symbols={}),
        version=1,
        position=1,
        updated_at=OPENING,
    )
    assert (shown.limit_price, shown.average_price) == ("1000", "0.00000001")


def test_a_view_without_its_own_time_of_creation_takes_the_events() -> None:
    bare = OrderView(account="local", symbol="EURUSD", quantity=1)
    assert resource(ORDER_ID, bare, BUILT_IN, version=1, position=1, updated_at=LATER).created_at == LATER


def test_a_key_that_names_another_order_is_told() -> None:
    reused = KeyReused("key-1", ORDER_ID)
    assert str(reused) == "client_order_id 'key-1' already names an order with other content"
    assert reused.order_id == ORDER_ID


def test_an_events_name_is_without_its_version() -> None:
    assert e.event_name(placed()) == "OrderPlaced"
