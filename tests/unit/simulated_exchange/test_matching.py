"""What an order gets at once: from the book by price and time, from the house by promise, or nothing."""

import pytest

from simulated_exchange.prices import format_price
from simulated_exchange.protocol import CanceledReport, FilledReport
from tests.support.exchange_floor import SECOND, Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_a_limit_order_rests_until_another_crosses_it(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("too-dear", 10, "1.09")
    assert floor.kinds == ["accepted"]
    floor.sell("crossing", 4, "1.07")
    assert floor.fills() == [("crossing", 4, "1.08000"), ("bid", 4, "1.08000")]
    assert floor.order("bid")["leaves"] == 6
    assert floor.order("crossing")["state"] == "executed"


def test_the_best_price_comes_first_and_then_the_first_in_time(floor: Floor) -> None:
    floor.sell("late-and-dear", 5, "1.10")
    floor.sell("early", 5, "1.09")
    floor.sell("late", 5, "1.09")
    floor.sell("cheap", 5, "1.08")
    floor.buy("taker", 12, "1.20")
    bought = [fill for fill in floor.fills() if fill[0] != "taker"]
    assert bought == [("cheap", 5, "1.08000"), ("early", 5, "1.09000"), ("late", 2, "1.09000")]


def test_bids_are_taken_from_the_highest_down(floor: Floor) -> None:
    for name, price in [("low", "1.07"), ("high", "1.09"), ("middle", "1.08")]:
        floor.buy(name, 1, price)
    floor.sell("taker", 3, "1.07")
    assert [name for name, _, _ in floor.fills() if name != "taker"] == ["high", "middle", "low"]


def test_what_a_crossing_order_does_not_get_rests_at_its_own_price(floor: Floor) -> None:
    floor.sell("ask", 4, "1.08")
    floor.buy("taker", 10, "1.09")
    assert floor.resting("buy") == ["taker"]
    assert floor.resting("sell") == []
    floor.sell("next", 6, "1.05")
    assert floor.fills()[0] == ("next", 6, "1.09000")


def test_an_order_that_meets_several_counts_up_what_it_got(floor: Floor) -> None:
    for name in ("a", "b", "c"):
        floor.sell(name, 2, "1.08")
    floor.buy("taker", 10, "1.08")
    got = [
        (report.filled, report.leaves)
        for report in floor.reports
        if isinstance(report, FilledReport) and report.order_id == "taker"
    ]
    assert got == [(2, 8), (4, 6), (6, 4)]


def test_books_of_different_instruments_do_not_meet(floor: Floor) -> None:
    floor.buy("euro", 5, "1.08", symbol="EURUSD")
    floor.sell("share", 5, "1.00", symbol="US0378331005")
    assert floor.kinds == ["accepted"]


def test_a_market_order_takes_the_book_at_once_and_the_house_fills_the_rest_later(floor: Floor) -> None:
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10)
    assert floor.fills() == [("market", 4, "1.08000"), ("ask", 4, "1.08000")]
    floor.wait(4 * SECOND - 1)
    assert floor.reports == []
    floor.wait(2 * SECOND + 1)
    [(name, quantity, _)] = floor.fills()
    assert (name, quantity) == ("market", 6)
    assert [fill["liquidity"] for fill in floor.order("market")["executions"]] == ["book", "house"]


def test_the_house_does_not_fill_limit_orders(floor: Floor) -> None:
    floor.buy("bid", 10, "99999")
    floor.wait(3_600 * SECOND)
    assert floor.reports == []
    assert floor.order("bid")["state"] == "working"


def test_an_ioc_order_takes_what_is_there_and_the_rest_expires(floor: Floor) -> None:
    floor.sell("ask", 4, "1.08")
    floor.buy("ioc", 10, "1.09", time_in_force="ioc")
    assert floor.kinds == ["accepted", "filled", "filled", "expired"]
    order = floor.order("ioc")
    assert (order["state"], order["reason"], order["filled"]) == ("expired", "immediate or cancel", 4)
    assert floor.resting("buy") == []


def test_an_ioc_order_that_gets_everything_does_not_expire(floor: Floor) -> None:
    floor.sell("ask", 10, "1.08")
    floor.buy("ioc", 10, "1.09", time_in_force="ioc")
    assert floor.kinds == ["accepted", "filled", "filled"]


def test_a_fok_order_gets_all_or_nothing(floor: Floor) -> None:
    floor.sell("one", 4, "1.08")
    floor.sell("two", 5, "1.09")
    floor.buy("too-much", 10, "1.09", time_in_force="fok")
    assert floor.kinds == ["accepted", "expired"]
    assert floor.order("too-much")["reason"] == "fill or kill"
    floor.buy("too-cheap", 9, "1.08", time_in_force="fok")
    assert floor.kinds == ["accepted", "expired"]
    floor.buy("all", 9, "1.09", time_in_force="fok")
    assert floor.order("all")["state"] == "executed"


@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
def test_to_a_market_order_that_cannot_wait_the_house_counts_as_liquidity(floor: Floor, time_in_force: str) -> None:
    floor.buy("market", 10, time_in_force=time_in_force)
    assert floor.kinds == ["accepted"]
    floor.wait(6 * SECOND)
    assert floor.order("market")["state"] == "executed"


def test_a_market_fok_order_is_filled_whole_by_the_house_where_the_book_has_too_little(floor: Floor) -> None:
    floor.sell("ask", 4, "1.08")
    floor.buy("fok", 10, time_in_force="fok")
    assert floor.kinds == ["accepted"]
    floor.wait(6 * SECOND)
    assert [fill["quantity"] for fill in floor.order("fok")["executions"]] == [10]
    assert floor.resting("sell") == ["ask"]


def test_a_market_fok_order_takes_a_book_that_can_fill_it_whole(floor: Floor) -> None:
    floor.sell("ask", 10, "1.08")
    floor.buy("fok", 10, time_in_force="fok")
    assert floor.order("fok")["state"] == "executed"


def test_where_the_house_is_closed_a_market_order_gets_the_book_and_is_canceled(floor: Floor) -> None:
    floor.house.is_open = False
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10)
    assert floor.kinds == ["accepted", "filled", "filled", "canceled"]
    canceled = floor.reports[-1]
    assert isinstance(canceled, CanceledReport)
    assert (canceled.request_id, canceled.reason, canceled.filled) == (None, "no liquidity", 4)
    assert floor.order("market")["state"] == "canceled"
    assert floor.state.awaiting_house == 0


@pytest.mark.parametrize(("time_in_force", "reason"), [("ioc", "immediate or cancel"), ("fok", "fill or kill")])
def test_where_the_house_is_closed_a_market_order_that_cannot_wait_expires(
    floor: Floor, time_in_force: str, reason: str
) -> None:
    floor.house.is_open = False
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10, time_in_force=time_in_force)
    assert floor.order("market")["reason"] == reason


def test_a_market_order_that_waited_for_the_house_is_canceled_when_that_has_closed_meanwhile(floor: Floor) -> None:
    floor.buy("market", 10)
    floor.house.is_open = False
    floor.wait(6 * SECOND)
    assert floor.kinds == ["canceled"]
    assert floor.order("market")["state"] == "canceled"


def test_the_house_fills_at_the_price_of_the_moment_that_it_fills_at() -> None:
    floor = Floor(fill_delay=(30 * SECOND, 30 * SECOND))
    floor.buy("market", 10)
    due = floor.now + 30 * SECOND
    floor.wait(3_600 * SECOND)
    assert floor.house.price("EURUSD", "buy", due) != floor.house.price("EURUSD", "buy", floor.now)
    assert floor.fills() == [("market", 10, format_price(floor.house.price("EURUSD", "buy", due), 5))]


def test_day_orders_expire_at_midnight_and_others_do_not(floor: Floor) -> None:
    floor.buy("day", 10, "1.08", time_in_force="day")
    floor.buy("gtc", 10, "1.08")
    floor.wait(16 * 3_600 * SECOND - 1)
    assert floor.reports == []
    floor.wait(1)
    assert floor.kinds == ["expired"]
    assert floor.order("day")["reason"] == "day ended"
    assert floor.resting("buy") == ["gtc"]


def test_an_order_after_midnight_does_not_meet_the_day_orders_of_yesterday(floor: Floor) -> None:
    floor.buy("day", 10, "1.08", time_in_force="day")
    floor.now += 16 * 3_600 * SECOND
    floor.sell("crossing", 10, "1.08")
    assert floor.kinds == ["accepted"]
    assert floor.order("day")["state"] == "expired"


def test_a_market_day_order_at_the_end_of_its_day_expires_before_the_house_fills_it(floor: Floor) -> None:
    floor.now += 16 * 3_600 * SECOND - 2 * SECOND
    floor.buy("market", 10, time_in_force="day")
    floor.wait(60 * SECOND)
    assert floor.kinds == ["expired"]
    assert floor.state.next_timer() is None


def test_a_house_fill_due_at_midnight_sharp_still_counts() -> None:
    floor = Floor(fill_delay=(2 * SECOND, 2 * SECOND))
    floor.now += 16 * 3_600 * SECOND - 2 * SECOND
    floor.buy("market", 10, time_in_force="day")
    floor.wait(60 * SECOND)
    assert floor.kinds == ["filled"]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"quantity": 0}, "quantity is out of range"),
        ({"quantity": 1_000_000_001}, "quantity is out of range"),
        ({"type": "limit"}, "a limit order needs a limit_price"),
        ({"type": "market", "limit_price": "1.08"}, "a market order has no price"),
        ({"limit_price": "0.000"}, "limit_price is out of range"),
        ({"symbol": "EUR USD"}, "symbol is not traded"),
        ({"symbol": ""}, "symbol is not traded"),
    ],
)
def test_an_order_that_cannot_be_is_rejected_with_the_reason(
    floor: Floor, terms: dict[str, object], reason: str
) -> None:
    floor.submit("bad", **terms)
    assert floor.kinds == ["rejected"]
    order = floor.order("bad")
    assert (order["state"], order["reason"], order["venue_order_id"]) == ("rejected", reason, None)


def test_prices_are_printed_with_the_instruments_decimals_and_more_where_they_have_them(floor: Floor) -> None:
    floor.buy("euro", 1, "1.1")
    floor.buy("share", 1, "99", symbol="US0378331005")
    floor.buy("fine", 1, "99.125", symbol="US0378331005")
    assert [floor.order(name)["limit_price"] for name in ("euro", "share", "fine")] == [
        "1.10000",
        "99.00",
        "99.125",
    ]
