"""The orders of a flow: of every kind, the same for the same seed, and each a body that the service takes."""

import json
import random

from load.order_flow import Mix, changes_of, terms_of
from orders.api.order_fields import read_placing
from orders.domain.instruments import BUILT_IN
from orders.domain.terms import Rules, refused_terms
from orders.domain.values import Capabilities, OrderType, TimeInForce

ORDERS = 2_000


def test_orders_of_every_type_and_time_in_force_flow_and_the_service_takes_each() -> None:
    rules = Rules(venue=Capabilities(cancels=True, replaces=True), catalogue=BUILT_IN)
    terms = [terms_of(Mix(), random.Random(number), str(number)) for number in range(ORDERS)]
    read = [read_placing(json.dumps(one).encode(), None, rules, None).terms for one in terms]
    assert not any(refused_terms(one, rules) for one in read)
    kinds = {(one.type, one.time_in_force) for one in read}
    assert kinds == {(kind, time) for kind in OrderType for time in TimeInForce}
    assert terms[7] == terms_of(Mix(), random.Random(7), "7")


def test_some_orders_are_canceled_some_replaced_some_both_and_most_left_alone() -> None:
    dice = random.Random(1)
    asked = [changes_of(Mix(), dice, terms_of(Mix(), dice, str(number))) for number in range(ORDERS)]
    kinds = [tuple(change.method for change in changes) for changes in asked]
    assert set(kinds) == {(), ("PUT",), ("DELETE",), ("PUT", "DELETE")}
    assert kinds.count(()) > ORDERS / 2


def test_a_mix_without_changes_asks_for_none() -> None:
    dice = random.Random(1)
    mix = Mix(canceled=0.0, replaced=0.0)
    assert not any(changes_of(mix, dice, terms_of(mix, dice, str(number))) for number in range(ORDERS))
