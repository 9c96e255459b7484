"""Fills, busts and corrections: what they make of an order."""

from datetime import timedelta

import pytest
from msgspec.structs import replace as altered

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.order import fold
from orders.domain.values import Delivery, Evidence, OrdStatus, Phase, Status
from tests.support.given import NOW, Given, given
from tests.support.order_events import (
    CANCEL_ID,
    OPENING,
    ORDER_ID,
    REPLACE_ID,
    accepted,
    busted,
    cancel_rejected,
    cancel_requested,
    canceled,
    corrected,
    doubted,
    executed,
    expired,
    placed,
    rejected,
    replace_rejected,
    replace_requested,
    replaced,
    started,
)

TOO_LATE = "too late: the order is already executed"


def at_the_venue(*since: e.OrderEvent) -> Given:
    return given(placed(), started(), accepted(), *since)


def test_a_partial_fill_leaves_the_order_open() -> None:
    at_the_venue().when(c.RecordExecution, exec_id="F1", quantity=4).then(executed("F1", 4)).and_the_order_is(
        phase=Phase.OPEN, ord_status=OrdStatus.PARTIALLY_FILLED, status=Status.PLACED, filled=4, executed_at=None
    )


def test_the_last_fill_completes_the_order() -> None:
    at_the_venue(executed("F1", 4)).when(c.RecordExecution, exec_id="F2", quantity=6, leaves=0).then(
        executed("F2", 6, leaves=0)
    ).and_the_order_is(phase=Phase.FILLED, ord_status=OrdStatus.FILLED, filled=10, executed_at=NOW)


def test_a_fill_counts_once() -> None:
    at_the_venue(executed("F1", 4)).when(c.RecordExecution, exec_id="F1", quantity=6).nothing_happens()


@pytest.mark.parametrize("repeat", [c.RecordBust, c.RecordCorrection])
def test_a_bust_and_a_correction_count_once(repeat: type[c.Command]) -> None:
    history = {c.RecordBust: busted("fill"), c.RecordCorrection: corrected("fill", 5)}
    at_the_venue(executed("fill"), history[repeat]).when(repeat).nothing_happens()


@pytest.mark.parametrize("history", [(), (started(),), (started(), doubted())], ids=["queued", "sending", "in doubt"])
def test_a_fill_proves_that_the_venue_has_the_order(history: tuple[e.OrderEvent, ...]) -> None:
    given(placed(), *history).when(c.RecordExecution).then(executed("fill")).and_the_order_is(delivery=Delivery.ACKED)


@pytest.mark.parametrize("report", [c.RecordBust, c.RecordCorrection])
@pytest.mark.parametrize("history", [(), (started(),), (started(), doubted())], ids=["queued", "sending", "in doubt"])
def test_so_does_any_report_of_a_fill(history: tuple[e.OrderEvent, ...], report: type[c.Command]) -> None:
    told = {c.RecordBust: busted("fill"), c.RecordCorrection: corrected("fill", 5, price="1.20")}
    given(placed(), *history).when(report).then(told[report]).and_the_order_is(
        delivery=Delivery.ACKED, in_doubt=frozenset()
    )


def test_a_fill_that_completes_the_order_leaves_a_cancel_too_late() -> None:
    at_the_venue(cancel_requested()).when(c.RecordExecution, quantity=10).then(
        executed("fill", 10), cancel_rejected(TOO_LATE)
    ).and_the_order_is(phase=Phase.FILLED, pending_cancel=None)


def test_a_held_cancel_is_too_late_for_a_fill_that_proves_and_completes() -> None:
    given(placed(), started(), cancel_requested()).when(c.RecordExecution, quantity=10).then(
        executed("fill", 10), cancel_rejected(TOO_LATE)
    )


def test_the_evidence_of_too_late_is_that_of_the_fill() -> None:
    queried = altered(executed("fill", 10), evidence=Evidence.VENUE_QUERY)
    at_the_venue(cancel_requested()).when(c.RecordExecution, quantity=10, evidence=Evidence.VENUE_QUERY).then(
        queried, cancel_rejected(TOO_LATE, Evidence.VENUE_QUERY)
    )


@pytest.mark.parametrize("leaves", [None, 10])
def test_filled_to_the_old_quantity_with_a_replace_pending_stays_open(leaves: int | None) -> None:
    at_the_venue(replace_requested(20)).when(c.RecordExecution, quantity=10, leaves=leaves).then(
        executed("fill", 10, leaves=leaves)
    ).and_the_order_is(phase=Phase.OPEN, ord_status=OrdStatus.PENDING_REPLACE, executed_at=None)


def test_leaves_0_completes_the_order_though_a_replace_is_pending() -> None:
    at_the_venue(replace_requested(20), cancel_requested()).when(c.RecordExecution, quantity=10, leaves=0).then(
        executed("fill", 10, leaves=0), replace_rejected(TOO_LATE), cancel_rejected(TOO_LATE)
    ).and_the_order_is(phase=Phase.FILLED, pending_replace=None, pending_cancel=None)


def test_a_rejected_replace_makes_a_full_order_executed() -> None:
    full = at_the_venue(replace_requested(20), executed("F1", 10, leaves=10))
    full.when(c.RecordReplaceRejected).then(replace_rejected("too busy")).and_the_order_is(
        phase=Phase.FILLED, executed_at=NOW
    )


def test_a_rejected_replace_that_completes_the_order_leaves_a_cancel_too_late() -> None:
    full = at_the_venue(replace_requested(20), cancel_requested(), executed("F1", 10, leaves=10))
    full.when(c.RecordReplaceRejected).then(replace_rejected("too busy"), cancel_rejected(TOO_LATE))


def test_a_rejected_cancel_leaves_a_full_order_with_a_pending_replace_open() -> None:
    full = at_the_venue(replace_requested(20), cancel_requested(), executed("F1", 10, leaves=10))
    full.when(c.RecordCancelRejected).then(cancel_rejected("too busy")).and_the_order_is(phase=Phase.OPEN)


def test_an_increase_that_went_through_keeps_a_full_order_open() -> None:
    full = at_the_venue(replace_requested(20), executed("F1", 10, leaves=10))
    full.when(c.RecordReplaced, quantity=20, request_id=REPLACE_ID).then(replaced(20)).and_the_order_is(
        phase=Phase.OPEN, ord_status=OrdStatus.PARTIALLY_FILLED
    )


def test_a_full_order_that_the_venue_ends_with_a_replace_pending_is_executed() -> None:
    full = at_the_venue(replace_requested(20), executed("F1", 10, leaves=10))
    full.when(c.RecordCanceled).then(canceled(), replace_rejected(TOO_LATE)).and_the_order_is(
        phase=Phase.FILLED, status=Status.EXECUTED, pending_replace=None, executed_at=NOW
    )


def test_an_end_that_answers_the_cancel_is_its_only_answer() -> None:
    full = at_the_venue(replace_requested(20), cancel_requested(), executed("F1", 10, leaves=10))
    full.when(c.RecordCanceled, request_id=CANCEL_ID).then(
        canceled(request_id=CANCEL_ID), replace_rejected(TOO_LATE)
    ).and_the_order_is(phase=Phase.FILLED, pending_cancel=None)


def test_leaves_0_of_fills_that_were_busted_says_nothing_of_later_ones() -> None:
    refilled = at_the_venue(executed("F1", 10, leaves=0), busted("F1"), replace_requested(20))
    refilled.when(c.RecordCorrection, ref_exec_id="F9", quantity=10).then(
        corrected("F9", 10, price="1.20")
    ).and_the_order_is(phase=Phase.OPEN, leaves=None)


ENDS = {"canceled": canceled(), "expired": expired(), "rejected": rejected()}
PHASES = {"canceled": Phase.CANCELED, "expired": Phase.EXPIRED, "rejected": Phase.REJECTED}


@pytest.mark.parametrize("end", ENDS)
def test_a_late_fill_is_counted_and_leaves_the_phase_as_it_is(end: str) -> None:
    at_the_venue(ENDS[end]).when(c.RecordExecution, quantity=4).then(executed("fill", 4)).and_the_order_is(
        phase=PHASES[end], filled=4, executed_at=None
    )


@pytest.mark.parametrize("end", ENDS)
def test_a_late_fill_that_completes_the_order_makes_it_executed(end: str) -> None:
    at_the_venue(executed("F1", 4), ENDS[end]).when(c.RecordExecution, quantity=6).then(
        executed("fill", 6)
    ).and_the_order_is(phase=Phase.FILLED, status=Status.EXECUTED, executed_at=NOW)


@pytest.mark.parametrize("end", ENDS)
def test_a_bust_of_the_completing_fill_brings_the_earlier_end_back(end: str) -> None:
    at_the_venue(ENDS[end], executed("fill", 10)).when(c.RecordBust).then(busted("fill")).and_the_order_is(
        phase=PHASES[end], executed_at=None, filled=0
    )


def test_an_overfill_is_recorded_and_shown() -> None:
    at_the_venue(executed("F1", 8)).when(c.RecordExecution, exec_id="F2", quantity=4).then(
        executed("F2", 4)
    ).and_the_order_is(phase=Phase.FILLED, filled=12, overfilled=True)
    at_the_venue(executed("F1", 10)).the_order_is(overfilled=False)


@pytest.mark.parametrize(
    ("asked", "filled", "overfilled"), [(20, 20, False), (20, 21, True), (5, 10, False), (5, 11, True)]
)
def test_overfill_is_judged_against_the_larger_quantity_while_a_replace_is_pending(
    asked: int, filled: int, overfilled: bool
) -> None:
    at_the_venue(replace_requested(asked), executed("F1", filled)).the_order_is(overfilled=overfilled)


def test_a_bust_reopens_an_executed_order() -> None:
    at_the_venue(executed("F1", 4), executed("fill", 6)).when(c.RecordBust).then(busted("fill")).and_the_order_is(
        phase=Phase.OPEN, status=Status.PLACED, ord_status=OrdStatus.PARTIALLY_FILLED, filled=4, executed_at=None
    )


def test_a_correction_may_complete_or_reopen_the_order() -> None:
    at_the_venue(executed("fill", 4)).when(c.RecordCorrection, quantity=10).then(
        corrected("fill", 10, price="1.20")
    ).and_the_order_is(phase=Phase.FILLED, filled=10)
    at_the_venue(executed("fill", 10)).when(c.RecordCorrection, quantity=9).then(
        corrected("fill", 9, price="1.20")
    ).and_the_order_is(phase=Phase.OPEN, filled=9)


def test_a_correction_that_completes_the_order_leaves_a_cancel_too_late() -> None:
    at_the_venue(executed("fill", 4), cancel_requested()).when(c.RecordCorrection, quantity=10).then(
        corrected("fill", 10, price="1.20"), cancel_rejected(TOO_LATE)
    )


def test_the_time_of_execution_is_that_of_the_completing_event() -> None:
    later = altered(executed("F2", 1), at=OPENING + timedelta(hours=1))
    complete = altered(executed("F1", 10), at=OPENING + timedelta(minutes=5))
    order = fold(ORDER_ID, (placed(), started(), complete, later))
    assert order is not None
    assert (order.executed_at, order.updated_at) == (complete.at, later.at)
