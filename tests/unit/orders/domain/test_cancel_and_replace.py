"""Cancels and replaces of what the venue has, and whom they race (FIX 4.4 volume 4, appendix D)."""

from decimal import Decimal

import pytest

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import InvalidOrder, OrderEnded, RequestPending, VenueCannot
from orders.domain.values import Evidence, OrdStatus, Phase, Status
from tests.support.given import Given, given
from tests.support.order_events import (
    CANCEL_ID,
    ELSE_ID,
    ORDER_ID,
    REPLACE_ID,
    accepted,
    cancel_rejected,
    cancel_requested,
    canceled,
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
NO_CANCEL = "The exchange cannot cancel orders"
NO_REPLACE = "The exchange cannot replace orders"


def at_the_venue(*since: e.OrderEvent) -> Given:
    return given(placed(), started(), accepted(), *since)


def test_an_order_at_a_venue_that_cannot_is_told_so_at_once() -> None:
    at_the_venue().at_a_venue(cancels=False).when(c.CancelOrder).refuses(VenueCannot, NO_CANCEL)
    at_the_venue().at_a_venue(replaces=False).when(c.ReplaceOrder).refuses(VenueCannot, NO_REPLACE)


def test_at_the_venue_only_the_venue_decides() -> None:
    at_the_venue().when(c.CancelOrder).then(cancel_requested()).and_the_order_is(phase=Phase.OPEN)
    at_the_venue().when(c.ReplaceOrder).then(replace_requested()).and_the_order_is(quantity=10)


def test_the_venue_cancels() -> None:
    at_the_venue(cancel_requested()).when(c.RecordCanceled, request_id=CANCEL_ID).then(
        canceled(request_id=CANCEL_ID)
    ).and_the_order_is(phase=Phase.CANCELED, ord_status=OrdStatus.CANCELED, pending_cancel=None)


def test_the_venue_cancels_what_nobody_asked_it_to() -> None:
    at_the_venue().when(c.RecordCanceled, reason="halt").then(canceled(reason="halt"))


@pytest.mark.parametrize("request_id", [CANCEL_ID, None], ids=["named", "not named"])
def test_the_venue_refuses_a_cancel(request_id: object) -> None:
    at_the_venue(cancel_requested()).when(c.RecordCancelRejected, request_id=request_id).then(
        cancel_rejected("too busy")
    ).and_the_order_is(phase=Phase.OPEN, pending_cancel=None, ord_status=OrdStatus.NEW)


@pytest.mark.parametrize("request_id", [REPLACE_ID, None], ids=["named", "not named"])
def test_the_venue_refuses_a_replace(request_id: object) -> None:
    at_the_venue(replace_requested()).when(c.RecordReplaceRejected, request_id=request_id).then(
        replace_rejected("too busy")
    ).and_the_order_is(phase=Phase.OPEN, quantity=10, pending_replace=None)


def test_answers_to_requests_that_do_not_wait_change_nothing() -> None:
    both = at_the_venue(replace_requested(), cancel_requested())
    both.when(c.RecordCancelRejected, request_id=ELSE_ID).nothing_happens()
    both.when(c.RecordReplaceRejected, request_id=ELSE_ID).nothing_happens()
    both.when(c.RecordReplaced, request_id=ELSE_ID).nothing_happens()
    at_the_venue().when(c.RecordReplaced, request_id=REPLACE_ID).nothing_happens()


def test_the_venue_replaces_and_knows_the_new_terms_by_the_requests_id() -> None:
    at_the_venue(replace_requested(20)).when(c.RecordReplaced, quantity=20, request_id=REPLACE_ID).then(
        replaced(20)
    ).and_the_order_is(quantity=20, pending_replace=None, terms_id=REPLACE_ID, ord_status=OrdStatus.NEW)


def test_the_venues_word_wins_over_what_was_asked() -> None:
    at_the_venue(replace_requested(20)).when(c.RecordReplaced, quantity=15, request_id=REPLACE_ID).then(
        replaced(15)
    ).and_the_order_is(quantity=15)


def test_the_terms_asked_for_are_the_answer_where_the_venue_names_no_request() -> None:
    at_the_venue(replace_requested(20)).when(c.RecordReplaced, quantity=20).then(replaced(20)).and_the_order_is(
        pending_replace=None, terms_id=REPLACE_ID
    )


def test_the_venues_own_change_of_terms_leaves_a_request_waiting() -> None:
    own = replaced(8, request_id=None)
    at_the_venue().when(c.RecordReplaced, quantity=8).then(own).and_the_order_is(quantity=8, terms_id=ORDER_ID)
    waiting = at_the_venue(replace_requested(20))
    waiting.when(c.RecordReplaced, quantity=8).then(own).and_the_order_is(
        quantity=8, ord_status=OrdStatus.PENDING_REPLACE
    )
    at_the_venue(replace_requested(20), own).when(c.RecordReplaced, quantity=20, request_id=REPLACE_ID).then(
        replaced(20)
    )


def test_terms_that_are_in_force_already_are_no_news() -> None:
    at_the_venue().when(c.RecordReplaced, quantity=10).nothing_happens()


def test_a_cancel_is_accepted_while_a_replace_waits() -> None:
    at_the_venue(replace_requested()).when(c.CancelOrder).then(cancel_requested()).and_the_order_is(
        ord_status=OrdStatus.PENDING_CANCEL
    )


def test_only_one_request_of_a_kind_waits() -> None:
    at_the_venue(cancel_requested()).when(c.CancelOrder).refuses(RequestPending, "A cancel of order")
    at_the_venue(cancel_requested()).when(c.ReplaceOrder).refuses(RequestPending, "A cancel of order")
    at_the_venue(replace_requested()).when(c.ReplaceOrder).refuses(RequestPending, "A replace of order")


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (executed("F1", 10), "executed"),
        (canceled(), "canceled"),
        (rejected(), "rejected"),
        (expired(), "expired"),
    ],
)
def test_what_has_ended_is_neither_canceled_nor_replaced(end: e.OrderEvent, text: str) -> None:
    sentence = f"Order with ID: {ORDER_ID} has already been {text}"
    at_the_venue(end).when(c.CancelOrder).refuses(OrderEnded, sentence)
    at_the_venue(end).when(c.ReplaceOrder).refuses(OrderEnded, sentence)


@pytest.mark.parametrize("end", [canceled(), rejected(), expired(), executed("F1", 20, leaves=0)], ids=e.event_name)
def test_an_end_clears_what_is_pending(end: e.OrderEvent) -> None:
    at_the_venue(replace_requested(), cancel_requested(), end).the_order_is(pending_cancel=None, pending_replace=None)


def test_the_present_values_change_nothing() -> None:
    limited = given(placed(10, limit="1.10"))
    limited.when(c.ReplaceOrder, quantity=10, limit_price=Decimal("1.1")).nothing_happens()
    limited.when(c.ReplaceOrder, quantity=None).nothing_happens()


def test_what_a_replace_leaves_out_stays() -> None:
    limited = given(placed(10, limit="1.10"))
    limited.when(c.ReplaceOrder, quantity=20).then(
        replaced(20, "1.10", evidence=Evidence.NEVER_PLACED, request_id=None)
    )
    limited.when(c.ReplaceOrder, quantity=None, limit_price=Decimal("1.2")).then(
        replaced(10, "1.2", evidence=Evidence.NEVER_PLACED, request_id=None)
    )


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"quantity": 0}, "Quantity must be greater than zero"),
        ({"quantity": 3}, "Quantity must be at least what is already filled: 4"),
        (
            {"quantity": None, "limit_price": Decimal("1.1")},
            "Providing a `limit_price` is prohibited for type `market`",
        ),
    ],
)
def test_new_terms_are_judged_like_those_of_a_new_order(wish: dict[str, object], text: str) -> None:
    at_the_venue(executed("F1", 4)).when(c.ReplaceOrder, **wish).refuses(InvalidOrder, text)


def test_a_new_price_is_on_the_tick() -> None:
    limited = given(placed(10, limit="1.10"))
    limited.when(c.ReplaceOrder, quantity=None, limit_price=Decimal("1.000001")).refuses(InvalidOrder, "tick size")
    limited.when(c.ReplaceOrder, quantity=None, limit_price=Decimal("-1")).refuses(InvalidOrder, "greater than zero")


def test_all_that_is_wrong_with_new_terms_is_told_at_once() -> None:
    wishes = given(placed(10, limit="1.10")).when(c.ReplaceOrder, quantity=0, limit_price=Decimal(0))
    refusal = wishes.refuses(InvalidOrder, "Quantity must be greater than zero")
    assert isinstance(refusal, InvalidOrder)
    assert [error.field for error in refusal.errors] == ["quantity", "limit_price"]


def test_an_order_may_be_replaced_down_to_what_is_filled_and_is_then_executed() -> None:
    at_the_venue(executed("F1", 4)).when(c.ReplaceOrder, quantity=4).then(replace_requested(4))
    at_the_venue(executed("F1", 4), replace_requested(4)).when(
        c.RecordReplaced, quantity=4, request_id=REPLACE_ID
    ).then(replaced(4)).and_the_order_is(phase=Phase.FILLED, status=Status.EXECUTED)


def test_replaced_down_to_what_is_filled_a_cancel_comes_too_late() -> None:
    waiting = at_the_venue(executed("F1", 4), replace_requested(4), cancel_requested())
    waiting.when(c.RecordReplaced, quantity=4, request_id=REPLACE_ID).then(
        replaced(4), cancel_rejected(TOO_LATE)
    ).and_the_order_is(phase=Phase.FILLED, pending_cancel=None)


def test_a_cancel_that_waits_survives_the_answer_to_the_replace() -> None:
    both = at_the_venue(replace_requested(20), cancel_requested())
    both.when(c.RecordReplaced, quantity=20, request_id=REPLACE_ID).then(replaced(20)).and_the_order_is(
        pending_cancel=CANCEL_ID
    )
    both.when(c.RecordReplaceRejected).then(replace_rejected("too busy")).and_the_order_is(pending_cancel=CANCEL_ID)
