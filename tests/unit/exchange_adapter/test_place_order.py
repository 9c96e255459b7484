"""A plain function as a venue."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest

from examples import stock_exchange
from exchange_adapter.place_order import PlaceOrderVenue, declared_errors
from exchange_adapter.venue import NotSent, Placed, VenueOrder
from orders.domain.values import Capabilities, OrderType, Side, TimeInForce

ORDER = VenueOrder(
    order_id=UUID(int=5),
    symbol="US0378331005",
    side=Side.SELL,
    type=OrderType.LIMIT,
    quantity=7,
    limit_price=Decimal("101.25"),
    time_in_force=TimeInForce.GTC,
    created_at=datetime(2026, 11, 2, tzinfo=UTC),
)


@pytest.fixture
def fate(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What the example draws next; it does not wait."""
    monkeypatch.setattr(stock_exchange.time, "sleep", lambda seconds: None)
    return lambda drawn: monkeypatch.setattr(stock_exchange.random, "random", lambda: drawn)


def test_the_function_gets_the_names_that_such_functions_read() -> None:
    seen: list[Any] = []
    assert PlaceOrderVenue(seen.append).submit(ORDER) == Placed()
    (order,) = seen
    assert (order.id_, order.created_at) == (UUID(int=5), datetime(2026, 11, 2, tzinfo=UTC))
    assert isinstance(order.type_, Enum)
    assert isinstance(order.side, Enum)
    assert (order.type_.value, order.side.value) == ("limit", "sell")
    assert (order.instrument, order.limit_price, order.quantity) == ("US0378331005", Decimal("101.25"), 7)


def test_returning_means_placed(fate: Callable[[float], None]) -> None:
    fate(0.5)
    assert PlaceOrderVenue(stock_exchange.place_order).submit(ORDER) == Placed()


def test_the_modules_own_placement_error_means_that_nothing_was_sent(fate: Callable[[float], None]) -> None:
    fate(0.95)
    expected = "Failed to place order at stock exchange. Connection not available"
    assert PlaceOrderVenue(stock_exchange.place_order).submit(ORDER) == NotSent(expected)


def test_any_other_exception_gets_out() -> None:
    def place_order(order: object) -> None:
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError):
        PlaceOrderVenue(place_order).submit(ORDER)


def test_an_error_of_that_name_from_another_module_is_not_the_declared_one() -> None:
    class OrderPlacementError(Exception):
        pass

    def place_order(order: object) -> None:
        raise OrderPlacementError

    with pytest.raises(OrderPlacementError):
        PlaceOrderVenue(place_order).submit(ORDER)


def test_the_declared_error_is_found_by_its_name() -> None:
    assert declared_errors(stock_exchange.place_order) == (stock_exchange.OrderPlacementError,)
    assert declared_errors(importlib.import_module) == ()


def test_a_function_that_is_said_to_wrap_itself_is_asked_once() -> None:
    def place_order(order: object) -> None: ...

    place_order.__wrapped__ = place_order  # type: ignore[attr-defined]
    assert declared_errors(place_order) == ()


def test_it_declares_that_it_can_only_place() -> None:
    assert PlaceOrderVenue.capabilities == Capabilities()


def test_the_example_refuses_to_place_nothing() -> None:
    with pytest.raises(ValueError, match="order"):
        stock_exchange.place_order(None)
