"""Cancels and replaces of what was not sent, or may not have arrived: applied at once, or held until that is known."""

import pytest

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import NotApplicable
from orders.domain.values import Delivery, Evidence, OrdStatus, Phase, Status
from tests.support.given import given
from tests.support.order_events import (
    CANCEL_ID,
    ORDER_ID,
    accepted,
    cancel_rejected,
    cancel_requested,
    canceled,
    doubted,
    executed,
    failed,
    parked,
    placed,
    replace_rejected,
    replace_requested,
    replaced,
    resolved,
    started,
)

NO_CANCEL = "The exchange cannot cancel orders"
NO_REPLACE = "The exchange cannot replace orders"
NOT_SENT = {"queued": (placed(),), "parked": (placed(), parked()), "failed": (placed(), started(), failed())}
UNSETTLED = {"sending": (placed(), started()), "in doubt": (placed(), started(), doubted())}
History = tuple[e.OrderEvent, ...]
not_sent = pytest.mark.parametrize("history", NOT_SENT.values(), ids=NOT_SENT)
unsettled = pytest.mark.parametrize("history", UNSETTLED.values(), ids=UNSETTLED)


@not_sent
def test_a_cancel_ends_at_once_what_was_not_sent(history: History) -> None:
    given(*history).when(c.CancelOrder).then(canceled(Evidence.NEVER_PLACED)).and_the_order_is(
        phase=Phase.CANCELED, status=Status.CANCELED, pending_cancel=None
    )


@not_sent
def test_a_replace_applies_at_once_to_what_was_not_sent(history: History) -> None:
    given(*history).when(c.ReplaceOrder, quantity=20).then(
        replaced(20, evidence=Evidence.NEVER_PLACED, request_id=None)
    ).and_the_order_is(quantity=20, pending_replace=None, terms_id=ORDER_ID)


@not_sent
def test_what_was_not_sent_needs_no_venue_that_can(history: History) -> None:
    helpless = given(*history).at_a_venue(cancels=False, replaces=False)
    helpless.when(c.CancelOrder).then(canceled(Evidence.NEVER_PLACED))
    helpless.when(c.ReplaceOrder).then(replaced(evidence=Evidence.NEVER_PLACED, request_id=None))


@unsettled
def test_cancel_and_replace_are_held_until_the_submit_is_settled(history: History) -> None:
    given(*history).when(c.CancelOrder).then(cancel_requested()).and_the_order_is(
        phase=Phase.OPEN, ord_status=OrdStatus.PENDING_CANCEL
    )
    given(*history).when(c.ReplaceOrder).then(replace_requested(20)).and_the_order_is(
        quantity=10, ord_status=OrdStatus.PENDING_REPLACE
    )


@unsettled
def test_they_are_held_even_where_the_venue_cannot(history: History) -> None:
    helpless = given(*history).at_a_venue(cancels=False, replaces=False)
    helpless.when(c.CancelOrder).then(cancel_requested())
    helpless.when(c.ReplaceOrder).then(replace_requested())


@unsettled
def test_settled_as_not_there_the_cancel_ends_the_order(history: History) -> None:
    given(*history, cancel_requested()).when(c.RecordSubmitFailed).then(
        failed(1), canceled(Evidence.NEVER_PLACED, request_id=CANCEL_ID)
    ).and_the_order_is(phase=Phase.CANCELED, closed_by=Evidence.NEVER_PLACED, pending_cancel=None)


@unsettled
def test_settled_as_not_there_the_replace_applies_before_any_other_attempt(history: History) -> None:
    given(*history, replace_requested(20)).when(c.RecordSubmitFailed).then(
        failed(1), replaced(20, evidence=Evidence.NEVER_PLACED)
    ).and_the_order_is(quantity=20, delivery=Delivery.QUEUED, pending_replace=None, terms_id=ORDER_ID)


@unsettled
def test_settled_as_not_there_a_cancel_outdoes_a_replace(history: History) -> None:
    given(*history, replace_requested(20), cancel_requested()).when(c.RecordSubmitFailed).then(
        failed(1), canceled(Evidence.NEVER_PLACED, request_id=CANCEL_ID)
    ).and_the_order_is(phase=Phase.CANCELED, quantity=10, pending_replace=None, pending_cancel=None)


def test_an_operators_not_placed_applies_what_is_held() -> None:
    in_doubt = (placed(), started(), doubted())
    given(*in_doubt, cancel_requested()).when(c.ResolveDoubt, placed=False).then(
        resolved(placed=False), canceled(Evidence.NEVER_PLACED, request_id=CANCEL_ID)
    )
    given(*in_doubt, replace_requested()).when(c.ResolveDoubt, placed=False).then(
        resolved(placed=False), replaced(evidence=Evidence.NEVER_PLACED)
    )


def test_nothing_held_applies_while_another_attempt_is_in_doubt() -> None:
    twice = given(placed(), started(), doubted(), started(2), doubted(2), cancel_requested())
    twice.when(c.RecordSubmitFailed, attempts=(2,)).then(failed(2)).and_the_order_is(
        phase=Phase.OPEN, delivery=Delivery.IN_DOUBT, pending_cancel=CANCEL_ID
    )


@unsettled
@pytest.mark.parametrize("proof", [c.RecordAccepted, c.RecordExecution])
def test_settled_as_there_they_go_to_the_venue(history: History, proof: type[c.Command]) -> None:
    there = {c.RecordAccepted: accepted(), c.RecordExecution: executed("fill")}
    held = given(*history, replace_requested(), cancel_requested())
    result = held.when(proof).then(there[proof])
    result.and_the_order_is(delivery=Delivery.ACKED, pending_cancel=CANCEL_ID, ord_status=OrdStatus.PENDING_CANCEL)
    assert result.order is not None
    assert result.order.pending_replace is not None


@unsettled
def test_settled_as_there_at_a_venue_that_cannot_they_are_rejected(history: History) -> None:
    held = given(*history, replace_requested(), cancel_requested()).at_a_venue(cancels=False, replaces=False)
    held.when(c.RecordAccepted).then(
        accepted(),
        replace_rejected(NO_REPLACE, Evidence.VENUE_CANNOT),
        cancel_rejected(NO_CANCEL, Evidence.VENUE_CANNOT),
    ).and_the_order_is(ord_status=OrdStatus.NEW, pending_cancel=None, pending_replace=None)


def test_only_what_the_venue_cannot_is_rejected() -> None:
    held = given(placed(), started(), replace_requested(), cancel_requested())
    held.at_a_venue(replaces=False).when(c.RecordAccepted).then(
        accepted(), replace_rejected(NO_REPLACE, Evidence.VENUE_CANNOT)
    )
    held.at_a_venue(cancels=False).when(c.RecordAccepted).then(
        accepted(), cancel_rejected(NO_CANCEL, Evidence.VENUE_CANNOT)
    )


@pytest.mark.parametrize(
    ("evidence", "delivery"),
    [
        (Evidence.VENUE_REPORT, Delivery.ACKED),
        (Evidence.VENUE_QUERY, Delivery.ACKED),
        (Evidence.VENUE_ANSWER, Delivery.IN_DOUBT),
    ],
)
def test_a_reported_refusal_proves_that_the_venue_has_the_order(evidence: Evidence, delivery: Delivery) -> None:
    """The answer to a cancel does not: it may be "unknown order"."""
    in_doubt = given(placed(), started(), doubted())
    held = given(*in_doubt.history, cancel_requested())
    held.when(c.RecordCancelRejected, evidence=evidence).then(cancel_rejected("too busy", evidence)).and_the_order_is(
        delivery=delivery
    )
    held = given(*in_doubt.history, replace_requested())
    held.when(c.RecordReplaceRejected, evidence=evidence).then(replace_rejected("too busy", evidence)).and_the_order_is(
        delivery=delivery
    )


def test_a_reported_refusal_of_one_request_settles_the_other_at_a_venue_that_cannot() -> None:
    held = given(placed(), started(), replace_requested(), cancel_requested()).at_a_venue(cancels=False)
    held.when(c.RecordReplaceRejected).then(
        replace_rejected("too busy"), cancel_rejected("The exchange cannot cancel orders", Evidence.VENUE_CANNOT)
    )


@pytest.mark.parametrize(
    ("venue", "resends"),
    [
        ({"queries": False, "cancels": False}, True),
        ({"queries": True, "cancels": False}, False),
        ({"queries": False, "cancels": True}, False),
    ],
)
def test_while_a_cancel_is_held_a_resend_is_the_last_resort(venue: dict[str, bool], resends: bool) -> None:
    held = given(placed(), started(), doubted(), cancel_requested()).at_a_venue(**venue)
    asked = held.when(c.StartSubmit)
    if resends:
        asked.then(started(2))
    else:
        asked.refuses(NotApplicable, "nothing to send")
