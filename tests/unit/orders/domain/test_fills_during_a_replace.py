"""A replace is pending, its answer is not here, and fills tell what became of it."""

import itertools

import pytest

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.values import Evidence, OrdStatus, Phase
from tests.support.given import Given, given
from tests.support.order_events import (
    accepted,
    busted,
    cancel_rejected,
    cancel_requested,
    canceled,
    executed,
    expired,
    placed,
    replace_rejected,
    replace_requested,
    replaced,
    started,
)

TOO_LATE = "too late: the order is already executed"


def replacing(*since: e.OrderEvent, by: int = 20) -> Given:
    return given(placed(10), started(), accepted(), replace_requested(by), *since)


def test_filled_to_the_larger_quantity_the_replace_was_carried_out() -> None:
    replacing(executed("E1", 10, leaves=10)).when(c.RecordExecution, exec_id="E2", quantity=10, leaves=0).then(
        executed("E2", 10, leaves=0), replaced(20)
    ).and_the_order_is(phase=Phase.FILLED, quantity=20, filled=20, overfilled=False)


def test_a_cancel_is_too_late_then() -> None:
    waiting = replacing(cancel_requested(), executed("E1", 10, leaves=10))
    waiting.when(c.RecordExecution, exec_id="E2", quantity=10, leaves=0).then(
        executed("E2", 10, leaves=0), replaced(20), cancel_rejected(TOO_LATE)
    )


def test_between_the_two_quantities_a_fill_is_still_on_its_way() -> None:
    """The exchange is done with 15 of 10 filled, so it was done with 20: the report of 5 comes later."""
    between = replacing(executed("E1", 10, leaves=5)).when(c.RecordExecution, exec_id="E3", quantity=5, leaves=0)
    between.then(executed("E3", 5, leaves=0)).and_the_order_is(phase=Phase.OPEN, ord_status=OrdStatus.PENDING_REPLACE)
    late = replacing(executed("E1", 10, leaves=5), executed("E3", 5, leaves=0))
    late.when(c.RecordExecution, exec_id="E2", quantity=5, leaves=5).then(
        executed("E2", 5, leaves=5), replaced(20)
    ).and_the_order_is(phase=Phase.FILLED, quantity=20)


def test_fills_in_any_order_complete_the_order() -> None:
    """The one with leaves 0 may come first; it is the exchange's word all the same."""
    fills = [executed("E1", 3, leaves=7), executed("E2", 5, leaves=2), executed("E3", 2, leaves=0)]
    for told in itertools.permutations(fills):
        replacing(*told).the_order_is(phase=Phase.FILLED, filled=10)


def test_a_fill_that_was_busted_before_it_came_leaves_nothing_done() -> None:
    for told in itertools.permutations([executed("E1", 10, leaves=0), busted("E1")]):
        given(placed(10), *told, replace_requested(20), executed("E2", 10, leaves=10)).the_order_is(phase=Phase.OPEN)


def test_what_was_left_before_a_replace_says_nothing_of_later() -> None:
    again = given(placed(10), executed("E1", 4, leaves=0), replaced(20, request_id=None), replace_requested(30))
    again.when(c.RecordExecution, exec_id="E2", quantity=16).then(executed("E2", 16)).and_the_order_is(
        phase=Phase.OPEN, leaves=None
    )


@pytest.mark.parametrize("end", [canceled(), expired()], ids=e.event_name)
def test_an_end_between_the_two_quantities_is_that_of_the_larger_order(end: e.OrderEvent) -> None:
    kind = {e.OrderCanceled: c.RecordCanceled, e.OrderExpired: c.RecordExpired}[type(end)]  # type: ignore[index]
    phase = {e.OrderCanceled: Phase.CANCELED, e.OrderExpired: Phase.EXPIRED}[type(end)]  # type: ignore[index]
    replacing(cancel_requested(), executed("E1", 15, leaves=5)).when(kind).then(end, replaced(20)).and_the_order_is(
        phase=phase, quantity=20, filled=15, executed_at=None
    )


def test_the_venues_own_smaller_terms_leave_a_full_order_open_until_the_request_is_answered() -> None:
    own = replaced(4, request_id=None)
    replacing(executed("E1", 4, leaves=0)).when(c.RecordReplaced, quantity=4).then(own).and_the_order_is(
        phase=Phase.OPEN, ord_status=OrdStatus.PENDING_REPLACE
    )
    replacing(executed("E1", 4), own).when(c.RecordReplaceRejected).then(replace_rejected("too busy")).and_the_order_is(
        phase=Phase.FILLED
    )


def test_too_late_is_on_the_word_that_filled_the_order() -> None:
    """At a venue that cannot replace, the refused replace completes the order; the cancel failed by the fill."""
    full = given(placed(10), started(), replace_requested(20), cancel_requested()).at_a_venue(replaces=False)
    full.when(c.RecordExecution, quantity=10).then(
        executed("fill", 10),
        replace_rejected("The exchange cannot replace orders", Evidence.VENUE_CANNOT),
        cancel_rejected(TOO_LATE),
    ).and_the_order_is(phase=Phase.FILLED)
