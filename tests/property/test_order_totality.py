"""Any event on any order makes an order, changes none that was there, and is stored and read to the digit."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from orders.domain import events as e
from orders.domain.order import evolve, fold, view
from orders.domain.values import Evidence, OrderType, OrderView, Side, TimeInForce
from orders.eventstore import codec
from tests.support.order_events import OPENING, ORDER_ID

FEW_IDS = st.sampled_from(["A", "B", "C"])
QUANTITIES = st.integers(1, 30)
PRICES = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1E+17"), max_value=Decimal("1E+17"), places=9
)
UUIDS = st.uuids(version=5)
VIEWS = st.builds(
    OrderView,
    account=st.text(min_size=1, max_size=5),
    symbol=st.sampled_from(["EURUSD", "US0378331005"]),
    instrument=st.none() | st.just("US0378331005"),
    quantity=QUANTITIES,
    side=st.sampled_from(Side),
    type=st.sampled_from(OrderType),
    limit_price=st.none() | PRICES,
    time_in_force=st.sampled_from(TimeInForce),
    client_order_id=st.none() | st.text(max_size=5),
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_id": UUIDS,
    "at": st.integers(0, 10**12).map(lambda microseconds: OPENING + timedelta(microseconds=microseconds)),
    "by": st.text(max_size=5),
    "trace_id": st.none() | st.text(max_size=5),
    "after": VIEWS,
    "attempt": st.integers(1, 3),
    "attempts": st.lists(st.integers(1, 3), max_size=3).map(tuple),
    "worker": st.just("worker-1"),
    "reason": st.text(max_size=5),
    "evidence": st.sampled_from(Evidence),
    "venue_order_id": st.none() | st.text(max_size=5),
    "exec_id": FEW_IDS,
    "ref_exec_id": FEW_IDS,
    "quantity": QUANTITIES,
    "price": PRICES,
    "limit_price": st.none() | PRICES,
    "leaves": st.none() | st.integers(0, 5),
    "request_id": st.none() | UUIDS,
    "placed": st.booleans(),
    "late": st.booleans(),
}


def any_event_of(kind: type[e.OrderEvent]) -> st.SearchStrategy[e.OrderEvent]:
    return st.builds(kind, **{name: FIELDS[name] for name in kind.__struct_fields__})


HISTORIES = st.lists(st.one_of([any_event_of(kind) for kind in get_args(e.AnyOrderEvent)]), min_size=1, max_size=12)


@given(history=HISTORIES)
def test_any_event_follows_any_other_and_changes_no_order_that_was_there(history: Sequence[e.OrderEvent]) -> None:
    order = None
    for number, event in enumerate(history, start=1):
        before = repr(order)
        after = evolve(ORDER_ID, order, event)
        assert repr(order) == before
        assert (after.id, after.version, after.updated_at) == (ORDER_ID, number, event.at)
        assert view(after).status is after.status
        order = after


@given(history=HISTORIES, cut=st.integers(0, 12))
def test_an_order_is_the_same_however_its_history_is_read(history: Sequence[e.OrderEvent], cut: int) -> None:
    at_once = fold(ORDER_ID, history)
    assert fold(ORDER_ID, history[cut:], fold(ORDER_ID, history[:cut])) == at_once
    assert fold(ORDER_ID, [codec.decode(codec.topic_of(x), codec.encode(x)) for x in history]) == at_once  # type: ignore[misc]


@given(history=HISTORIES)
def test_an_event_is_stored_and_read_to_the_digit(history: Sequence[e.OrderEvent]) -> None:
    for event in history:
        stored = codec.encode(event)
        read = codec.decode(codec.topic_of(event), stored)
        assert read == event
        assert repr(read) == repr(event)
        assert codec.encode(read) == stored
