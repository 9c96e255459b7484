"""The quick reader of batches reads what it takes as the strict one does, and leaves it all else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orders.api.order_fields import Placing, read_placing
from orders.api.plain_bodies import read_plain
from orders.domain.errors import InvalidOrder
from orders.domain.terms import Rules
from orders.request_errors import MalformedBody

PLAIN = {
    "symbol": "EURUSD",
    "quantity": 10,
    "side": "sell",
    "limit_price": "1.10",
    "time_in_force": "day",
    "client_order_id": "a:b",
}

names = st.sampled_from([*PLAIN, "price", "instrument", "type", "unknown"])
texts = st.sampled_from(
    ["EURUSD", "US0378331005", "", "buy", "limit", "gtc", "1.10", "1_0", " 1", "NaN", "1e2", "007", ":", "é", "k" * 101]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | texts
    | st.sampled_from(["-0", "1.0", "1.10", "0.00", "1e3", "1E+400", "11111111111111111111111", "[1]", '{"a": 1}'])
)
fields = st.tuples(names, scalars)


def written(name: str, value: Any) -> str:
    """Numbers come as texts here too, so that they may be written in any form."""
    raw = isinstance(value, str) and value[:1] in "-0123456789[{" and value not in ("1_0", "007", "1.10") and value
    return f"{json.dumps(name)}: {raw or json.dumps(value, ensure_ascii=False)}"


def body_of(orders: Sequence[Sequence[tuple[str, Any]]]) -> list[str]:
    return ["{" + ", ".join(written(name, value) for name, value in order) + "}" for order in orders]


def strictly(orders: Sequence[str], default_symbol: str | None) -> list[Placing] | None:
    try:
        return [read_placing(order.encode(), None, Rules(), default_symbol) for order in orders]
    except (InvalidOrder, MalformedBody):
        return None


complete = st.lists(fields, max_size=3).map(lambda more: list({**PLAIN, **dict(more)}.items()))
orders = st.one_of(complete, st.lists(fields, max_size=5), complete.map(lambda order: [*order, order[0]]))


@given(st.lists(orders, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, "CADUSD"]))
@example([[*PLAIN.items(), ("symbol", "EURUSD")]], True, None)
@example([[("symbol", ""), ("instrument", "US0378331005"), ("quantity", 1)]], False, None)
def test_what_it_takes_it_reads_as_the_strict_reader_does(
    given_orders: list[list[tuple[str, Any]]], alone: bool, default_symbol: str | None
) -> None:
    each = body_of(given_orders)
    array = f"[{', '.join(each)}]"
    found = read_plain((array if alone else f'{{"orders": {array}}}').encode(), default_symbol)
    if found is not None:
        assert found == strictly(each, default_symbol)


@pytest.mark.parametrize("alone", [True, False])
def test_it_takes_plain_orders(alone: bool) -> None:
    keyless = {"instrument": "US0378331005", "quantity": 1, "price": 1.5, "type": None, "side": -1}
    given_orders: list[dict[str, Any]] = [PLAIN, keyless, {"quantity": 1}]
    array = json.dumps(given_orders)
    found = read_plain((array if alone else f' {{"orders": {array}}} ').encode(), "EURUSD")
    assert found == strictly([json.dumps(order) for order in given_orders], "EURUSD")
    assert found is not None


@pytest.mark.parametrize(
    "body",
    [
        '[{"symbol": "EURUSD", "quantity": 1, "quantity": 1}]',
        '[{"symbol": "EURUSD", "client_order_id": "a\\u003a", "quantity": 1, "quantity": 1}]',
        '{"orders": [{"symbol": "EURUSD", "quantity": 1}], "orders": [{"symbol": "EURUSD", "quantity": 1}]}',
        '{"orders": [{"symbol": "EURUSD", "quantity": 1}], "more": 1}',
        '[{"symbol": "EURUSD", "quantity": 1.0}]',
        '[{"symbol": "EURUSD", "quantity": 1, "price": " 1"}]',
        '[{"symbol": "EURUSD", "quantity": 1, "price": {"a": 1}}]',
        '[{"symbol": "EURUSD", "quantity": 1, "client_order_id": "a b"}]',
        "[" * 10_000,
        "5",
        "",
    ],
)
def test_it_leaves_what_is_wrong_or_out_of_the_ordinary(body: str) -> None:
    assert read_plain(body.encode(), None) is None
