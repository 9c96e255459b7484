"""What users ask for: bodies that the service takes, in the scenario's mix, about orders of their own."""

from __future__ import annotations

import json
import random
from collections import Counter

import msgspec
import pytest

from load.run.users import Action, Told, User, terms
from load.scenarios import Scenario, read_scenarios, scenario_named
from orders.api.order_fields import read_placing
from orders.domain.instruments import BUILT_IN
from orders.domain.terms import Rules, refused_terms
from orders.domain.values import Capabilities

RULES = Rules(venue=Capabilities(cancels=True, replaces=True), catalogue=BUILT_IN)
TURNS = 2_000


def only(**mix: float) -> Scenario:
    return msgspec.structs.replace(scenario_named("default"), mix=mix)


def turns(user: User, numbers: range, *, type: str = "limit") -> list[Action]:
    """The user's actions, where each order it places is accepted and rests."""
    actions = []
    for number in numbers:
        action = user.choose(number)
        actions.append(action)
        if action.operation == "place":
            user.took(action, 201, Told(f"order-{number}", type, "Placed", 10))
    return actions


@pytest.mark.parametrize("name", list(read_scenarios()))
def test_the_service_takes_every_order_of_a_scenario(name: str) -> None:
    orders = scenario_named(name).orders
    for number in range(300):
        body = {"client_order_id": f"load-{number}", **terms(orders, random.Random(number))}
        assert not refused_terms(read_placing(json.dumps(body).encode(), None, RULES, None).terms, RULES)


def test_a_user_does_what_the_mix_says() -> None:
    scenario = scenario_named("default")
    done = Counter(action.operation for action in turns(User(scenario, "s"), range(TURNS)))
    weights = sum(scenario.mix.values())
    expected = {operation: TURNS * weight / weights for operation, weight in scenario.mix.items()}
    assert done == pytest.approx(expected, rel=0.25)


def test_who_has_no_order_yet_places_one() -> None:
    for operation in ("get", "cancel", "replace"):
        assert User(only(place=0.001, **{operation: 1000}), "s").choose(0).operation == "place"


def test_the_same_seed_places_the_same_orders_and_each_has_a_key_of_its_own() -> None:
    one, other = (turns(User(only(place=1), "seed"), range(50)) for _ in range(2))
    assert one == other
    assert len({action.key for action in one}) == 50
    assert all(json.loads(action.body)["client_order_id"] == action.key for action in one)


def test_market_orders_are_neither_canceled_nor_replaced() -> None:
    actions = turns(User(only(place=1, cancel=1, replace=1), "s"), range(200), type="market")
    assert {action.operation for action in actions} == {"place"}


def test_an_order_is_canceled_once_and_not_replaced_afterwards() -> None:
    actions = turns(User(only(place=1, cancel=1, replace=1), "s"), range(300))
    canceled: set[str] = set()
    for action in actions:
        assert action.order_id not in canceled
        if action.operation == "cancel":
            canceled.add(action.order_id)
    assert canceled


def test_an_order_that_has_ended_is_left_alone() -> None:
    user = User(only(place=1, replace=1000), "s")
    placed = Action(operation="place", method="POST", target="/orders", key="k")
    user.took(placed, 201, Told("a", "limit", "Placed", 10))
    replaced = user.choose(1)
    assert (replaced.operation, replaced.order_id) == ("replace", "a")
    user.took(replaced, 400, Told())
    assert user.choose(2).operation == "place"


def test_a_replace_goes_on_from_the_quantity_that_was_reached() -> None:
    user = User(only(place=1, replace=1000), "s")
    user.took(Action(operation="place", method="POST", target="/orders"), 201, Told("a", "limit", "Placed", 10))
    first = user.choose(1)
    user.took(first, 200, Told("a", "limit", "Placed", 500))
    assert 10 < json.loads(first.body)["quantity"] <= 20
    assert 500 < json.loads(user.choose(2).body)["quantity"] <= 510
