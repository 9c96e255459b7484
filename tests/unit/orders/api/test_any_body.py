"""Whatever a client sends to POST /orders, it is an order or a refusal in words, and never a fault of ours."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from orders.eventstore.memory import MemoryEventStore
from tests.support.command_service import command_service

Post = Callable[[bytes], httpx.Response]

REFUSED = {400, 409, 413, 415, 422}

texts = st.text(st.characters(), max_size=20)  # halves of surrogate pairs included
numbers = st.one_of(
    st.integers(),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([10**30, 0.1, 1e300, 1e-300, 1.10000]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.sampled_from(["EURUSD", "buy", "limit", "1.1", "1e2"]))
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
fields = st.sampled_from(
    ["symbol", "instrument", "quantity", "side", "type", "limit_price", "price", "time_in_force", "client_order_id"]
)
orders = st.fixed_dictionaries(
    {},
    optional={
        "symbol": st.sampled_from(["EURUSD", "CADUSD", "XXX"]) | texts,
        "instrument": st.sampled_from(["US0378331005", "short"]) | texts,
        "quantity": st.integers(-1, 10**10) | values,
        "side": st.sampled_from(["buy", "sell", 1, -1, 2, "BUY"]) | values,
        "type": st.sampled_from(["market", "limit", "stop"]) | values,
        "limit_price": st.decimals(allow_nan=False, allow_infinity=False).map(str) | numbers | values,
        "price": values,
        "time_in_force": st.sampled_from(["gtc", "day", "ioc", "fok"]) | values,
        "client_order_id": texts,
    },
)


def as_json(body: Any) -> bytes:
    return json.dumps(body).encode()


def with_repeats(pairs: list[tuple[str, Any]]) -> bytes:
    return b"{" + b",".join(as_json(name) + b":" + as_json(value) for name, value in pairs) + b"}"


bodies = st.one_of(
    orders.map(as_json),
    values.map(as_json),
    st.lists(st.tuples(fields | texts, values), max_size=6).map(with_repeats),
    orders.map(as_json).flatmap(lambda body: st.integers(0, len(body)).map(lambda end: body[:end])),
    st.binary(max_size=60),
    st.sampled_from([b'{"quantity": %s}' % (b"1" * 5000), b'{"price": 1e%s}' % (b"9" * 30), b"[" * 60_000]),
)


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    store = MemoryEventStore()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(command_service(store, store.hints)) as service,
    ):
        yield lambda body: portal.call(lambda: service.http.post("/orders", content=body))


@settings(max_examples=150)
@given(bodies)
def test_any_body_is_an_order_or_a_refusal_in_words(post: Post, body: bytes) -> None:
    answer = post(body)
    if answer.status_code == 201:
        order = answer.json()
        assert order["quantity"] > 0
        assert order["symbol"]
        return
    problem = answer.json()
    assert answer.status_code in REFUSED, problem
    assert problem["detail"]
    assert problem["detail"] == (problem["errors"] or [{"message": problem["detail"]}])[0]["message"]
