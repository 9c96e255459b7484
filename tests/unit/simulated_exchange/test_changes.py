"""Cancel and replace, repeats and stale requests."""

import pytest

from simulated_exchange.protocol import Accepted, Canceled, Refused, Rejected, Replaced
from tests.support.exchange_floor import SECOND, Floor, replaced


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_a_canceled_order_is_no_longer_in_the_book(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    assert isinstance(floor.cancel("bid", "c"), Canceled)
    floor.sell("crossing", 10, "1.08")
    assert floor.kinds == ["accepted"]
    assert floor.order("bid")["state"] == "canceled"


def test_a_canceled_market_order_is_not_filled_by_the_house(floor: Floor) -> None:
    floor.buy("market", 10)
    floor.cancel("market", "c")
    floor.wait(60 * SECOND)
    assert floor.reports == []


def test_a_cancel_keeps_what_was_filled(floor: Floor) -> None:
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10)
    floor.cancel("market", "c")
    order = floor.order("market")
    assert (order["state"], order["filled"], order["leaves"]) == ("canceled", 4, 0)


def test_a_submit_that_is_repeated_gets_its_first_answer_whatever_became_of_the_order(floor: Floor) -> None:
    first = floor.buy("bid", 10, "1.08")
    assert isinstance(first, Accepted)
    floor.replace("bid", "r", quantity=20, limit_price="1.07")
    floor.cancel("bid", "c", base="r")
    assert floor.buy("bid", 10, "1.0800") == first
    assert floor.reports == []


def test_a_rejected_submit_that_is_repeated_is_rejected_again_without_a_second_report(floor: Floor) -> None:
    first = floor.buy("bid", 0, "1.08")
    assert isinstance(first, Rejected)
    assert floor.buy("bid", 0, "1.08") == first
    assert floor.reports == []


@pytest.mark.parametrize("other", [{"quantity": 11}, {"limit_price": "1.09"}, {"side": "sell"}, {"symbol": "USDEUR"}])
def test_a_known_order_id_with_other_terms_is_refused_and_the_first_order_stands(
    floor: Floor, other: dict[str, object]
) -> None:
    floor.submit("bid", limit_price="1.08")
    answer = floor.submit("bid", **{"limit_price": "1.08", **other})
    assert isinstance(answer, Refused)
    assert (answer.error, answer.first_outcome) == ("terms_differ", "accepted")
    assert floor.order("bid")["quantity"] == 10


def test_a_cancel_and_a_replace_that_are_repeated_get_their_first_answers(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    first = floor.replace("bid", "r", quantity=12)
    canceled = floor.cancel("bid", "c", base="r")
    assert isinstance(first, Replaced)
    assert isinstance(canceled, Canceled)
    assert floor.replace("bid", "r", quantity=12) == first
    assert floor.cancel("bid", "c", base="r") == canceled
    assert floor.reports == []


def test_a_refused_change_that_is_repeated_is_refused_again_though_it_could_be_done_now(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    refused = floor.cancel("bid", "c", base="r")
    assert isinstance(refused, Rejected)
    assert refused.reason == "stale base"
    floor.replace("bid", "r", quantity=12)
    assert floor.cancel("bid", "c", base="r") == refused
    assert floor.order("bid")["state"] == "working"


def test_an_unknown_order_is_not_remembered_so_that_a_late_arrival_can_be_canceled(floor: Floor) -> None:
    assert floor.cancel("bid", "c") == Rejected("unknown order")
    assert floor.replace("bid", "r", quantity=5) == Rejected("unknown order")
    assert floor.reports == []
    floor.buy("bid", 10, "1.08")
    assert isinstance(floor.cancel("bid", "c"), Canceled)


def test_a_change_to_what_is_done_is_refused_with_how_it_ended(floor: Floor) -> None:
    floor.buy("executed", 10, "1.08")
    floor.sell("other", 10, "1.08")
    floor.buy("canceled", 10, "1.08")
    floor.cancel("canceled", "c1")
    floor.buy("expired", 10, "1.08", time_in_force="ioc")
    floor.buy("rejected", 0, "1.08")
    for place, state in enumerate(["executed", "canceled", "expired", "rejected"]):
        floor.cancel(state, f"cancel {place}", base="stale")
        assert floor.kinds == ["cancel_rejected"]
        assert getattr(floor.answer, "reason", None) == f"already {state}"
        floor.replace(state, f"replace {place}", quantity=20)
        assert floor.kinds == ["replace_rejected"]
        assert getattr(floor.answer, "reason", None) == f"already {state}"


def test_a_request_builds_on_the_last_terms_that_went_through(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.replace("bid", "r1", quantity=12)
    assert floor.replace("bid", "r2", quantity=14) == Rejected("stale base", 3)
    assert isinstance(floor.replace("bid", "r3", base="r1", quantity=14), Replaced)
    assert isinstance(floor.cancel("bid", "c", base="r3"), Canceled)


@pytest.mark.parametrize("known", ["bid", "r"])
def test_an_id_that_means_something_else_already_is_refused(floor: Floor, known: str) -> None:
    floor.buy("bid", 10, "1.08")
    floor.buy("other", 10, "1.08")
    floor.replace("bid", "r", quantity=12)
    for answer in (
        floor.cancel("other", known),
        floor.replace("other", known, quantity=2),
        floor.replace("bid", known, quantity=13),
    ):
        assert isinstance(answer, Refused)
        assert answer.error == "id_reused"
    answer = floor.buy("r", 1, "1.08")
    assert isinstance(answer, Refused)
    assert answer.error == "id_reused"


def test_a_decrease_keeps_the_place_in_the_queue_and_all_else_loses_it(floor: Floor) -> None:
    for name in ("a", "b", "c", "d"):
        floor.buy(name, 10, "1.08")
    floor.replace("a", "r1", quantity=5)
    assert floor.resting("buy") == ["a", "b", "c", "d"]
    floor.replace("b", "r2", quantity=11)
    assert floor.resting("buy") == ["a", "c", "d", "b"]
    floor.replace("a", "r3", base="r1", limit_price="1.07")
    assert floor.resting("buy") == ["c", "d", "b", "a"]
    floor.replace("a", "r4", base="r3", limit_price="1.08")
    assert floor.resting("buy") == ["c", "d", "b", "a"]


def test_a_replace_with_the_present_terms_keeps_the_place(floor: Floor) -> None:
    floor.buy("a", 10, "1.08")
    floor.buy("b", 10, "1.08")
    floor.replace("a", "r", quantity=10, limit_price="1.080")
    assert floor.resting("buy") == ["a", "b"]


def test_a_new_price_that_crosses_is_filled_after_the_replaced_report(floor: Floor) -> None:
    floor.sell("ask", 4, "1.09")
    floor.buy("bid", 10, "1.08")
    floor.replace("bid", "r", limit_price="1.10")
    assert floor.kinds == ["replaced", "filled", "filled"]
    assert replaced(floor.reports[0]).leaves == 10
    assert floor.fills() == [("bid", 4, "1.09000"), ("ask", 4, "1.09000")]
    assert floor.resting("buy") == ["bid"]


def test_a_new_price_may_fill_the_order_whole(floor: Floor) -> None:
    floor.sell("ask", 10, "1.09")
    floor.buy("bid", 10, "1.08")
    floor.replace("bid", "r", limit_price="1.09")
    assert floor.order("bid")["state"] == floor.order("ask")["state"] == "executed"
    assert floor.resting("buy") == floor.resting("sell") == []


def test_replaced_down_to_what_is_filled_the_order_is_done(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    floor.replace("bid", "r", quantity=4, limit_price="1.09")
    assert floor.kinds == ["replaced"]
    assert floor.order("bid")["state"] == "executed"
    assert floor.resting("buy") == []


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"quantity": 3}, "quantity is below what is filled"),
        ({"quantity": 0}, "quantity is out of range"),
        ({"quantity": 1_000_000_001}, "quantity is out of range"),
        ({"limit_price": "0"}, "limit_price is out of range"),
    ],
)
def test_terms_that_cannot_be_are_refused_and_nothing_changes(
    floor: Floor, terms: dict[str, object], reason: str
) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    floor.replace("bid", "r", **terms)
    assert floor.kinds == ["replace_rejected"]
    assert getattr(floor.answer, "reason", None) == reason
    order = floor.order("bid")
    assert (order["quantity"], order["limit_price"], order["terms_id"]) == (10, "1.08000", "bid")


def test_a_market_order_that_waits_for_the_house_can_change_its_quantity_but_has_no_price(floor: Floor) -> None:
    floor.buy("market", 10)
    floor.replace("market", "r1", limit_price="1.08")
    assert getattr(floor.answer, "reason", None) == "a market order has no price"
    floor.replace("market", "r2", quantity=25)
    floor.wait(60 * SECOND)
    assert [quantity for _, quantity, _ in floor.fills()] == [25]
