"""The balance of a load: what was accepted is there once, in one state."""

from typing import Any

import pytest

from load.balance import MAX_EXAMPLES, STATES, DoesNotClose, balance
from orders.domain.values import Delivery, Status


def shown(order_id: str, status: str = "Executed", delivery: str = "acked") -> dict[str, Any]:
    return {"order_id": order_id, "status": status, "delivery": delivery}


def test_every_state_that_an_order_can_be_in_is_one_of_the_balance() -> None:
    every = [shown(f"{status}/{delivery}", status, delivery) for status in Status for delivery in Delivery]
    found = balance([order["order_id"] for order in every], every)
    assert found.closes, found
    assert set(found.states) == set(STATES)
    assert found.accepted == found.states.total() == len(every)


@pytest.mark.parametrize(
    ("status", "delivery", "state"),
    [
        ("Placed", "queued", "queued"),
        ("Placed", "sending", "sending"),
        ("Placed", "in_doubt", "in_doubt"),
        ("Placed", "parked", "parked"),
        ("Placed", "acked", "working"),
        ("Executed", "acked", "filled"),
        ("Canceled", "queued", "canceled"),
        ("Expired", "queued", "expired"),
        ("Rejected", "acked", "rejected"),
    ],
)
def test_an_order_is_counted_in_one_state(status: str, delivery: str, state: str) -> None:
    assert balance(["a"], [shown("a", status, delivery)]).states == {state: 1}


@pytest.mark.parametrize(
    ("accepted", "orders", "name"),
    [
        (["a", "b"], [shown("a")], "missing"),
        (["a"], [shown("a"), shown("b")], "unknown"),
        (["a", "b"], [shown("a"), shown("b"), shown("a", "Canceled")], "double"),
        (["a"], [shown("a", "Placed", "lost")], "stateless"),
        (["a"], [shown("a", "Suspended")], "stateless"),
    ],
)
def test_what_does_not_close_is_named(accepted: list[str], orders: list[dict[str, Any]], name: str) -> None:
    found = balance(accepted, orders)
    assert found.findings.counts == {name: 1}
    with pytest.raises(DoesNotClose, match=f"DOES NOT CLOSE\nFOUND {name}: "):
        found.require()


def test_an_order_whose_answer_came_twice_counts_once() -> None:
    assert balance(["a", "a"], [shown("a")]).closes


def test_the_table_shows_every_state_and_that_it_closes() -> None:
    found = balance(["a", "b"], [shown("a"), shown("b", "Placed", "parked")])
    found.require()
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines] == [*STATES, "sum", "accepted"]
    assert lines[-1].split() == ["accepted", "2", "closes"]


def test_a_flood_of_findings_is_counted_and_not_kept() -> None:
    found = balance([str(number) for number in range(1_000)], [])
    assert len(found.findings.examples) == MAX_EXAMPLES
    assert str(found).splitlines()[-1] == "FOUND 1000 in all: 1,000 missing"
