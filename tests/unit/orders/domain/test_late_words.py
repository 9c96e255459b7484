"""What the venue says of an order that has ended here: its word wins, once, and nothing old comes back by it."""

from decimal import Decimal
from uuid import UUID

import pytest

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.story import TOO_LATE
from orders.domain.values import Evidence, OrdStatus, Phase
from tests.support.given import Given, given
from tests.support.order_events import (
    ELSE_ID,
    REPLACE_ID,
    accepted,
    busted,
    canceled,
    executed,
    expired,
    placed,
    replace_rejected,
    replace_requested,
    replaced,
    started,
)

SECOND_ID = UUID("0192d3a0-0000-7000-8000-0000000000dd")
FIRST, SECOND = {"request_id": REPLACE_ID}, {"request_id": SECOND_ID}


def told_too_late(*since: e.OrderEvent, limit: str | None = None, new_limit: str | None = None, by: int = 20) -> Given:
    """10 were filled with nothing left while a replace was pending."""
    asked = (placed(10, limit=limit), started(), accepted(), replace_requested(by, new_limit))
    return given(*asked, executed("E1", 10, leaves=0), replace_rejected(TOO_LATE), *since)


def reopened(*since: e.OrderEvent) -> Given:
    """A bust opened it again, and another replace was asked for."""
    return told_too_late(busted("E1"), replace_requested(30, request_id=SECOND_ID), *since)


@pytest.mark.parametrize("evidence", [Evidence.VENUE_ANSWER, Evidence.VENUE_REPORT])
def test_a_replace_that_was_carried_out_after_all_opens_the_order_again(evidence: Evidence) -> None:
    told_too_late().when(c.RecordReplaced, **FIRST, evidence=evidence).then(
        replaced(20, evidence=evidence, late=True)
    ).and_the_order_is(
        phase=Phase.OPEN,
        ord_status=OrdStatus.PARTIALLY_FILLED,
        quantity=20,
        executed_at=None,
        terms_id=REPLACE_ID,
    )


def test_it_is_recorded_once() -> None:
    told_too_late(replaced(20, late=True)).when(c.RecordReplaced, **FIRST).nothing_happens()


def test_one_of_the_price_alone_changes_the_price_of_an_order_that_stays_executed() -> None:
    full = told_too_late(limit="1.10", new_limit="1.20", by=10)
    full.when(c.RecordReplaced, **FIRST, quantity=10, limit_price=Decimal("1.20")).then(
        replaced(10, "1.20", late=True)
    ).and_the_order_is(phase=Phase.FILLED, limit_price=Decimal("1.20"))


def test_a_venue_that_names_no_request_is_understood_by_the_terms() -> None:
    told_too_late().when(c.RecordReplaced, quantity=20).then(replaced(20, late=True))
    told_too_late().when(c.RecordReplaced, quantity=25).nothing_happens()


def test_what_the_venue_had_refused_itself_is_no_late_word() -> None:
    refused = given(placed(10), accepted(), replace_requested(), replace_rejected("too busy"), executed("E1", 10))
    refused.when(c.RecordReplaced, **FIRST).nothing_happens()


def test_nor_is_the_answer_to_a_request_that_nobody_made() -> None:
    told_too_late().when(c.RecordReplaced, request_id=ELSE_ID).nothing_happens()


def test_an_end_while_a_replace_was_pending_keeps_no_word_on_it_out() -> None:
    for end, phase in ((canceled(), Phase.CANCELED), (expired(), Phase.EXPIRED)):
        ended = given(placed(10), started(), accepted(), replace_requested(), executed("E1", 10, leaves=10), end)
        ended.the_order_is(phase=Phase.FILLED)
        ended.when(c.RecordReplaced, **FIRST).then(replaced(20, late=True)).and_the_order_is(
            phase=phase, filled=10, quantity=20
        )


def test_the_late_word_on_an_older_request_leaves_the_one_that_waits() -> None:
    reopened().when(c.RecordReplaced, **FIRST).then(replaced(20, late=True)).and_the_order_is(
        quantity=20, ord_status=OrdStatus.PENDING_REPLACE
    )
    both = reopened(replaced(20, late=True))
    both.when(c.RecordReplaced, **SECOND, quantity=30).then(replaced(30, request_id=SECOND_ID)).and_the_order_is(
        quantity=30, pending_replace=None
    )


def test_no_older_request_takes_back_the_terms_of_a_later_one() -> None:
    reopened(replaced(30, request_id=SECOND_ID)).when(c.RecordReplaced, **FIRST).nothing_happens()
    full_again = reopened(executed("E2", 10, leaves=0), replace_rejected(TOO_LATE, request_id=SECOND_ID))
    full_again.when(c.RecordReplaced, **SECOND, quantity=30).then(replaced(30, request_id=SECOND_ID, late=True))
    second_first = reopened(
        executed("E2", 10, leaves=0),
        replace_rejected(TOO_LATE, request_id=SECOND_ID),
        replaced(30, request_id=SECOND_ID, late=True),
    )
    second_first.when(c.RecordReplaced, **FIRST).nothing_happens()


@pytest.mark.parametrize(("command", "end"), [(c.RecordCanceled, canceled()), (c.RecordExpired, expired())])
def test_an_end_of_a_full_order_is_kept_once_and_shows_when_it_is_full_no_more(
    command: type[c.Command], end: e.OrderEvent
) -> None:
    full = (placed(10), started(), accepted(), executed("E1", 10, leaves=0))
    given(*full).when(command).then(end).and_the_order_is(phase=Phase.FILLED)
    given(*full, end).when(command).nothing_happens()
    phase = Phase.CANCELED if command is c.RecordCanceled else Phase.EXPIRED
    given(*full, end, busted("E1")).the_order_is(phase=phase, filled=0)


def test_the_venues_own_id_of_an_order_is_recorded_when_a_fill_came_first_and_only_then() -> None:
    filled = (placed(10), started(), executed("E1", 10, leaves=0))
    given(*filled).when(c.RecordAccepted).then(accepted()).and_the_order_is(venue_order_id="V-1", phase=Phase.FILLED)
    given(*filled).when(c.RecordAccepted, venue_order_id=None).nothing_happens()
    given(*filled, accepted()).when(c.RecordAccepted, venue_order_id="V-2").nothing_happens()
