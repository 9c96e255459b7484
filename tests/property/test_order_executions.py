"""Whatever is repeated or comes in another order, the fills of an order add up to the same."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orders.domain import commands as c
from orders.domain.decide import decide
from orders.domain.order import Order, evolve, fold
from orders.domain.terms import Rules
from tests.support.given import CAPABLE, NOW
from tests.support.order_events import COMMAND_ID, ORDER_ID, placed

Report = tuple[type[c.Command], dict[str, Any]]
RULES = Rules(venue=CAPABLE)
KINDS: st.SearchStrategy[type[c.Command]] = st.sampled_from([c.RecordExecution, c.RecordCorrection, c.RecordBust])
PRICES = st.decimals(Decimal("0.00001"), Decimal("9999999"), places=5)


@st.composite
def reports(draw: st.DrawFn) -> list[Report]:
    """Fills, then chains of corrections and busts; a reference may be to what the venue never sent."""
    told: list[Report] = []
    known = ["never sent"]
    for number in range(draw(st.integers(0, 8))):
        exec_id, kind = f"E{number}", draw(KINDS)
        fields: dict[str, Any] = {"exec_id": exec_id}
        if kind is not c.RecordExecution:
            fields["ref_exec_id"] = draw(st.sampled_from(known))
        if kind is not c.RecordBust:
            fields |= {"quantity": draw(st.integers(1, 1_000_000_000)), "price": draw(PRICES)}
        told.append((kind, fields))
        known.append(exec_id)
    return told


def after(told: Sequence[Report]) -> Order:
    order = fold(ORDER_ID, [placed(1_000)])
    assert order is not None
    for kind, fields in told:
        for event in decide(order, kind(order_id=ORDER_ID, command_id=COMMAND_ID, at=NOW, by="x", **fields), RULES):
            order = evolve(ORDER_ID, order, event)
    return order


def by_hand(told: Sequence[Report]) -> tuple[int, Fraction]:
    """What counts is what nothing else refers to."""
    void = {fields["ref_exec_id"] for kind, fields in told if kind is not c.RecordExecution}
    live = [fields for kind, fields in told if kind is not c.RecordBust and fields["exec_id"] not in void]
    notional = sum((fields["quantity"] * Fraction(fields["price"]) for fields in live), Fraction(0))
    return sum(fields["quantity"] for fields in live), notional


@given(told=reports(), data=st.data())
def test_any_order_of_any_repeats_adds_up_to_the_same(told: list[Report], data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(told), max_size=6)) if told else []
    order = after(data.draw(st.permutations(told + repeats)))
    assert (order.filled, Fraction(order.executions.notional)) == by_hand(told)
    assert order.phase is after(told).phase
