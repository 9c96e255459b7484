"""Busts and corrections: an execution is void or another one, and the order seeks what it has lost."""

from __future__ import annotations

import pytest

from simulated_exchange.protocol import Busted, BustedReport, Corrected, CorrectedReport, Refused
from tests.support.exchange_floor import JOURNAL_ID, SECOND, Floor


@pytest.fixture
def floor() -> Floor:
    return Floor()


def executions(floor: Floor, order_id: str) -> list[tuple[int, str]]:
    return [(execution["quantity"], execution["price"]) for execution in floor.order(order_id)["executions"]]


def exec_id(seq: int) -> str:
    return f"E{JOURNAL_ID[:8]}-{seq}"


def test_a_busted_execution_counts_no_longer_and_the_order_rests_again(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 10, "1.08")
    answer = floor.bust("bid")
    assert answer == Busted(exec_id(5), exec_id(4), 0, 10, 5)
    assert floor.kinds == ["busted"]
    assert (floor.order("bid")["state"], executions(floor, "bid")) == ("working", [])
    assert floor.resting("buy") == ["bid"]
    assert floor.order("ask")["state"] == "executed"  # the other side's execution is its own


def test_a_bust_without_an_execution_named_takes_the_newest(floor: Floor) -> None:
    floor.sell("one", 4, "1.08")
    floor.sell("two", 6, "1.09")
    floor.buy("bid", 10, "1.09")
    floor.bust("bid")
    assert executions(floor, "bid") == [(4, "1.08000")]
    [report] = floor.reports
    assert isinstance(report, BustedReport)
    assert (report.filled, report.leaves) == (4, 6)


def test_an_execution_can_be_named(floor: Floor) -> None:
    floor.sell("one", 4, "1.08")
    floor.sell("two", 6, "1.09")
    floor.buy("bid", 10, "1.09")
    floor.bust("bid", floor.order("bid")["executions"][0]["exec_id"])
    assert executions(floor, "bid") == [(6, "1.09000")]


def test_what_a_reopened_order_can_get_at_once_it_gets(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 10, "1.08")
    floor.sell("next", 4, "1.07")
    floor.bust("bid")
    assert floor.kinds == ["busted", "filled", "filled"]
    assert executions(floor, "bid") == [(4, "1.07000")]
    assert floor.order("bid")["leaves"] == 6


def test_a_reopened_order_stands_behind_the_others_at_its_price(floor: Floor) -> None:
    floor.buy("first", 10, "1.08")
    floor.sell("ask", 10, "1.08")
    floor.buy("second", 10, "1.08")
    floor.bust("first")
    assert floor.resting("buy") == ["second", "first"]


def test_an_order_that_still_works_keeps_its_place(floor: Floor) -> None:
    floor.buy("first", 10, "1.08")
    floor.buy("second", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    floor.bust("first")
    assert floor.resting("buy") == ["first", "second"]
    assert floor.order("first")["leaves"] == 10


def test_the_house_fills_a_reopened_market_order_after_its_delay(floor: Floor) -> None:
    floor.buy("market", 10)
    floor.wait(6 * SECOND)
    floor.bust("market")
    assert (floor.state.working, floor.state.awaiting_house) == (1, 1)
    floor.wait(4 * SECOND - 1)
    assert floor.reports == []
    floor.wait(2 * SECOND + 1)
    assert floor.order("market")["state"] == "executed"
    assert (floor.state.working, floor.state.awaiting_house) == (0, 0)


def test_a_market_order_that_waited_before_does_not_wait_for_its_old_time_too(floor: Floor) -> None:
    floor.buy("other", 1)
    floor.sell("ask", 4, "1.08")
    floor.buy("market", 10)
    first_due, due = floor.state.orders["other"].house_due, floor.state.orders["market"].house_due
    assert first_due is not None
    assert due is not None
    assert first_due < due  # so that the timer of the one behind it is not looked at before
    floor.replace("market", "r", quantity=4)  # executed, before the house came
    floor.now += SECOND
    floor.bust("market")
    floor.wait(due - floor.now)
    assert floor.fills()[0][0] == "other"
    assert floor.order("market")["state"] == "working"
    floor.wait(SECOND)
    assert floor.fills()[0][:2] == ("market", 4)


def test_a_reopened_market_order_ends_where_the_house_has_closed(floor: Floor) -> None:
    floor.buy("market", 10)
    floor.wait(6 * SECOND)
    floor.house.is_open = False
    floor.bust("market")
    assert floor.kinds == ["busted", "canceled"]
    assert (floor.state.working, floor.state.awaiting_house) == (0, 0)


@pytest.mark.parametrize(("time_in_force", "reason"), [("ioc", "immediate or cancel"), ("fok", "fill or kill")])
def test_an_order_that_cannot_wait_ends_when_it_gets_nothing_for_what_it_lost(
    floor: Floor, time_in_force: str, reason: str
) -> None:
    floor.sell("ask", 10, "1.08")
    floor.buy("taker", 10, "1.08", time_in_force=time_in_force)
    floor.bust("taker")
    assert floor.kinds == ["busted", "expired"]
    assert (floor.order("taker")["reason"], floor.state.working) == (reason, 0)


def test_a_day_order_that_is_reopened_expires_at_the_end_of_its_day_or_at_once(floor: Floor) -> None:
    for name in ("one", "two"):
        floor.buy(name, 10, "1.08", time_in_force="day")
        floor.sell(f"against-{name}", 10, "1.08")
    floor.wait(SECOND)  # its timer is forgotten
    floor.bust("one")
    floor.wait(16 * 3_600 * SECOND)
    assert floor.order("one")["reason"] == "day ended"
    floor.bust("two")
    assert floor.kinds == ["busted", "expired"]
    assert floor.order("two")["reason"] == "day ended"


def test_an_order_that_has_ended_otherwise_stays_so(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    floor.cancel("bid", "c")
    answer = floor.bust("bid")
    assert isinstance(answer, Busted)
    assert (answer.filled, answer.leaves) == (0, 0)
    assert floor.order("bid")["state"] == "canceled"


def test_a_correction_takes_the_execution_s_place_under_an_id_of_its_own(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 10, "1.08")
    answer = floor.correct("bid", 7, "1.0795")
    assert answer == Corrected(exec_id(5), exec_id(4), 7, "1.07950", 7, 3, 5)
    assert executions(floor, "bid") == [(7, "1.07950")]
    assert floor.resting("buy") == ["bid"]
    again = floor.correct("bid", 8, exec_id=exec_id(5))
    assert isinstance(again, Corrected)
    assert (again.ref_exec_id, again.price, again.leaves) == (exec_id(5), "1.07950", 2)


def test_a_correction_can_execute_an_order_whole(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    floor.correct("bid", 10)
    [report] = floor.reports
    assert isinstance(report, CorrectedReport)
    assert (report.filled, report.leaves, report.price) == (10, 0, "1.08000")
    assert floor.order("bid")["state"] == "executed"
    assert floor.resting("buy") == []


@pytest.mark.parametrize(
    ("quantity", "price", "reason"),
    [
        (11, None, "more than the order's quantity of 10 would be filled"),
        (0, None, "quantity is out of range"),
        (None, "0.0", "price is out of range"),
    ],
)
def test_a_correction_that_cannot_be_changes_nothing(
    floor: Floor, quantity: int | None, price: str | None, reason: str
) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 10, "1.08")
    before = len(floor.entries)
    assert floor.correct("bid", quantity, price) == Refused("bad_request", reason)
    assert len(floor.entries) == before


def test_what_is_not_there_cannot_be_busted(floor: Floor) -> None:
    floor.buy("bid", 10, "1.08")
    floor.sell("ask", 4, "1.08")
    assert floor.bust("other") == Refused("unknown_order", "there is no order other")
    assert floor.bust("bid", "E-1") == Refused("unknown_execution", "order bid has no execution E-1")
    floor.bust("bid")
    assert floor.bust("bid") == Refused("unknown_execution", "order bid has no execution")
