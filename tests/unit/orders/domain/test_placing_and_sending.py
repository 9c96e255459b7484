"""From the client's order to the venue's word, through failures, doubt, parking and the end of the day."""

from decimal import Decimal
from typing import Any

import pytest

from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.errors import InvalidOrder, NotApplicable, UnknownOrder
from orders.domain.values import Delivery, Evidence, OrderType, OrdStatus, Phase, Side, Status, TimeInForce
from tests.support.given import NOW, given
from tests.support.order_events import (
    accepted,
    cancel_requested,
    canceled,
    doubted,
    executed,
    expired,
    failed,
    parked,
    placed,
    rejected,
    replaced,
    resolved,
    resumed,
    started,
)

DAY = placed(time_in_force=TimeInForce.DAY)


def test_an_acceptable_order_is_placed_and_waits_to_be_sent() -> None:
    given().when(c.PlaceOrder).then(placed(10)).and_the_order_is(
        phase=Phase.OPEN, delivery=Delivery.QUEUED, ord_status=OrdStatus.PENDING_NEW, version=1, created_at=NOW
    )


def test_a_placed_order_has_all_the_terms_that_were_asked_for() -> None:
    terms = c.Terms(
        instrument="US0378331005",
        quantity=7,
        side=Side.SELL,
        type=OrderType.LIMIT,
        limit_price=Decimal("1.25"),
        time_in_force=TimeInForce.IOC,
    )
    placing = given().when(c.PlaceOrder, terms=terms, account="desk-1", client_order_id="key-1")
    placing.then(
        placed(
            7,
            limit="1.25",
            account="desk-1",
            client_order_id="key-1",
            instrument="US0378331005",
            side=Side.SELL,
            time_in_force=TimeInForce.IOC,
        )
    ).and_the_order_is(placed=terms, account="desk-1", client_order_id="key-1")


def test_an_order_is_placed_once() -> None:
    given(placed()).when(c.PlaceOrder).refuses(NotApplicable, "exists")


def test_what_is_not_there_is_told_so() -> None:
    given().when(c.CancelOrder).refuses(UnknownOrder, "Order with ID: 0192d3a0-0000-7000-8000-000000000001 does not")


def test_all_that_is_wrong_with_an_order_is_told_at_once() -> None:
    terms = c.Terms(symbol="NOPE", quantity=0, type=OrderType.LIMIT)
    refusal = given().when(c.PlaceOrder, terms=terms).refuses(InvalidOrder, "Symbol: NOPE is not supported")
    assert isinstance(refusal, InvalidOrder)
    assert [error.field for error in refusal.errors] == ["symbol", "quantity", "limit_price"]


def test_a_worker_claims_an_attempt_before_it_calls() -> None:
    given(placed()).when(c.StartSubmit, worker="worker-7").then(started(1, "worker-7")).and_the_order_is(
        delivery=Delivery.SENDING, attempts=1, worker="worker-7", attempted_at=NOW
    )


def test_an_attempt_that_failed_is_followed_by_the_next_one() -> None:
    given(placed(), started()).when(c.RecordSubmitFailed).then(failed(1)).and_the_order_is(
        delivery=Delivery.QUEUED, failures=1
    )
    given(placed(), started(), failed(1)).when(c.StartSubmit).then(started(2))


def test_an_attempt_that_never_left_is_no_failure() -> None:
    never_sent = failed(1, evidence=Evidence.NEVER_SENT)
    given(placed(), started()).when(c.RecordSubmitFailed, evidence=Evidence.NEVER_SENT).then(
        never_sent
    ).and_the_order_is(delivery=Delivery.QUEUED, failures=0)


def test_a_timeout_is_doubt_and_not_failure() -> None:
    given(placed(), started()).when(c.RecordSubmitInDoubt).then(doubted()).and_the_order_is(
        delivery=Delivery.IN_DOUBT, in_doubt=frozenset({1}), ord_status=OrdStatus.PENDING_NEW
    )


def test_only_a_venue_that_tells_repeats_apart_gets_an_order_in_doubt_again() -> None:
    in_doubt = given(placed(), started(), doubted())
    in_doubt.when(c.StartSubmit).then(started(2))
    in_doubt.at_a_venue(deduplicates=False).when(c.StartSubmit).refuses(
        NotApplicable, "is open and in_doubt: nothing to send"
    )


def test_one_that_cannot_gets_it_again_only_where_the_operator_chose_so_and_it_cannot_be_asked() -> None:
    in_doubt = given(placed(), started(), doubted())
    cannot = in_doubt.at_a_venue(deduplicates=False, queries=False, resends_in_doubt=True)
    cannot.when(c.StartSubmit).then(started(2))
    can_be_asked = in_doubt.at_a_venue(deduplicates=False, resends_in_doubt=True)
    can_be_asked.when(c.StartSubmit).refuses(NotApplicable, "is open and in_doubt: nothing to send")


def test_while_a_cancel_is_held_it_is_sent_again_only_where_the_cancel_cannot_go_to_the_venue() -> None:
    held = given(placed(), started(), doubted(), cancel_requested())
    chosen: dict[str, Any] = {"deduplicates": False, "queries": False, "resends_in_doubt": True}
    held.at_a_venue(**chosen, cancels=False).when(c.StartSubmit).then(started(2))
    held.at_a_venue(**chosen).when(c.StartSubmit).refuses(NotApplicable, "nothing to send")


def test_a_failed_repeat_leaves_the_first_attempt_in_doubt() -> None:
    repeated = given(placed(), started(), doubted(), started(2))
    repeated.when(c.RecordSubmitFailed, attempts=(2,)).then(failed(2)).and_the_order_is(
        delivery=Delivery.IN_DOUBT, in_doubt=frozenset({1})
    )


def test_a_repeat_goes_on_while_the_first_attempt_is_found_to_have_failed() -> None:
    repeated = given(placed(), started(), doubted(), started(2))
    repeated.when(c.RecordSubmitFailed, attempts=(1,)).then(failed(1)).and_the_order_is(
        delivery=Delivery.SENDING, in_doubt=frozenset()
    )


def test_not_found_counts_for_all_attempts_in_doubt() -> None:
    twice = given(placed(), started(), doubted(), started(2), doubted(2))
    twice.when(c.RecordSubmitFailed, attempts=(1, 2), evidence=Evidence.VENUE_QUERY).then(
        failed(1, 2, evidence=Evidence.VENUE_QUERY)
    ).and_the_order_is(delivery=Delivery.QUEUED, in_doubt=frozenset())


def test_not_found_for_one_of_two_attempts_leaves_the_other_in_doubt() -> None:
    twice = given(placed(), started(), doubted(), started(2), doubted(2))
    twice.when(c.RecordSubmitFailed, attempts=(2,)).then(failed(2)).and_the_order_is(
        delivery=Delivery.IN_DOUBT, in_doubt=frozenset({1})
    )


def test_only_attempts_that_are_open_can_fail() -> None:
    given(placed(), started(), failed(1), started(2)).when(c.RecordSubmitFailed, attempts=(1, 2, 9)).then(failed(2))


def test_doubt_about_an_earlier_attempt_says_nothing_of_the_present_one() -> None:
    given(placed(), started(), failed(1), started(2)).when(c.RecordSubmitInDoubt, attempt=1).nothing_happens()


def test_the_venue_has_the_order() -> None:
    given(placed(), started()).when(c.RecordAccepted, venue_order_id="V-9").then(accepted("V-9")).and_the_order_is(
        delivery=Delivery.ACKED, ord_status=OrdStatus.NEW, venue_order_id="V-9"
    )


def test_an_acceptance_that_comes_late_settles_the_doubt() -> None:
    given(placed(), started(), doubted()).when(c.RecordAccepted, evidence=Evidence.VENUE_QUERY).then(
        accepted(evidence=Evidence.VENUE_QUERY)
    ).and_the_order_is(delivery=Delivery.ACKED, in_doubt=frozenset())


def test_an_acceptance_without_the_venues_id_keeps_the_known_one() -> None:
    known = given(placed(), started(), accepted("V-1"), accepted(None))
    known.the_order_is(venue_order_id="V-1")


def test_the_venue_refuses_the_order() -> None:
    given(placed(), started()).when(c.RecordRejected, reason="halted").then(rejected("halted")).and_the_order_is(
        phase=Phase.REJECTED, status=Status.REJECTED, ord_status=OrdStatus.REJECTED, delivery=Delivery.ACKED
    )


def test_a_refused_attempt_does_not_end_an_order_of_which_another_attempt_may_be_at_the_venue() -> None:
    twice = given(placed(), started(), doubted(), started(2)).at_a_venue(deduplicates=False)
    twice.when(c.RecordRejected, attempt=2, reason="refused").then(failed(2)).and_the_order_is(
        phase=Phase.OPEN, delivery=Delivery.IN_DOUBT, in_doubt=frozenset({1})
    )
    twice.when(c.RecordRejected, attempt=1, reason="refused").then(failed(1)).and_the_order_is(
        phase=Phase.OPEN, delivery=Delivery.SENDING, in_doubt=frozenset()
    )


def test_the_refusal_of_the_last_attempt_that_may_be_at_the_venue_ends_the_order() -> None:
    twice = given(placed(), started(), doubted(), started(2), failed(2)).at_a_venue(deduplicates=False)
    twice.when(c.RecordRejected, attempt=1, reason="halted").then(rejected("halted"))


def test_a_refused_attempt_changes_nothing_of_an_order_that_the_venue_has_by_another_one() -> None:
    there = given(placed(), started(), doubted(), started(2), accepted()).at_a_venue(deduplicates=False)
    there.when(c.RecordRejected, attempt=1).nothing_happens()
    there.when(c.RecordRejected).then(rejected())


def test_where_repeats_are_told_apart_the_refusal_of_one_attempt_is_that_of_all() -> None:
    given(placed(), started(), doubted(), started(2)).when(c.RecordRejected, attempt=2).then(rejected())


@pytest.mark.parametrize(
    "proof",
    [
        accepted(),
        executed("F1"),
        rejected(),
        canceled(),
        expired(),
        replaced(request_id=None),
        resolved(placed=True),
    ],
    ids=e.event_name,
)
def test_what_the_venue_says_of_an_order_proves_that_it_has_it(proof: e.OrderEvent) -> None:
    proven = given(placed(), started(), doubted(), proof)
    proven.the_order_is(delivery=Delivery.ACKED, in_doubt=frozenset())
    proven.when(c.RecordSubmitInDoubt).nothing_happens()
    proven.when(c.RecordSubmitFailed).nothing_happens()


def test_doubt_and_failure_after_the_proof_change_nothing_in_a_stored_history_either() -> None:
    given(placed(), started(), accepted(), doubted()).the_order_is(delivery=Delivery.ACKED, in_doubt=frozenset())
    given(placed(), started(), accepted(), failed(1)).the_order_is(delivery=Delivery.ACKED)


def test_an_order_is_parked_from_the_queue_and_resumed_with_a_clean_sheet() -> None:
    stuck = given(placed(), started(), failed(1))
    stuck.when(c.ParkPlacement, reason="stuck").then(parked("stuck")).and_the_order_is(delivery=Delivery.PARKED)
    given(placed(), started(), failed(1), parked()).when(c.ResumePlacement, reason="mended").then(
        resumed("mended")
    ).and_the_order_is(delivery=Delivery.QUEUED, failures=0, attempts=1)


def test_an_order_in_doubt_is_never_parked() -> None:
    given(placed(), started(), doubted()).when(c.ParkPlacement).refuses(NotApplicable, "is open and in_doubt, not qu")


def test_an_operator_knows_that_the_venue_has_it() -> None:
    twice = given(placed(), started(), doubted(), started(2), doubted(2))
    twice.when(c.ResolveDoubt, placed=True).then(resolved(placed=True, attempts=(1, 2))).and_the_order_is(
        delivery=Delivery.ACKED, in_doubt=frozenset()
    )


def test_an_operator_knows_that_the_venue_has_it_not() -> None:
    given(placed(), started(), doubted()).when(c.ResolveDoubt, placed=False).then(
        resolved(placed=False)
    ).and_the_order_is(delivery=Delivery.QUEUED, in_doubt=frozenset())


@pytest.mark.parametrize(
    "unsent", [(DAY,), (DAY, started(), failed(1)), (DAY, parked())], ids=["new", "failed", "park"]
)
def test_a_day_order_that_was_surely_never_sent_ends_with_its_day(unsent: tuple[e.OrderEvent, ...]) -> None:
    given(*unsent).when(c.ExpireUnsent).then(
        expired(Evidence.NEVER_PLACED, "the day ended before it was sent")
    ).and_the_order_is(phase=Phase.EXPIRED, closed_by=Evidence.NEVER_PLACED)


@pytest.mark.parametrize("sent", [(started(),), (started(), doubted()), (started(), accepted())])
def test_a_day_order_that_may_be_at_the_venue_does_not_end_with_its_day(sent: tuple[e.OrderEvent, ...]) -> None:
    given(DAY, *sent).when(c.ExpireUnsent).refuses(NotApplicable, "is no day order that was never sent")


@pytest.mark.parametrize("other", [kind for kind in TimeInForce if kind is not TimeInForce.DAY])
def test_only_day_orders_end_with_the_day(other: TimeInForce) -> None:
    given(placed(time_in_force=other)).when(c.ExpireUnsent).refuses(NotApplicable, "is no day order")


def test_the_venue_ends_an_order_with_its_day() -> None:
    given(DAY, started(), accepted()).when(c.RecordExpired, reason="closed").then(
        expired(reason="closed")
    ).and_the_order_is(phase=Phase.EXPIRED, closed_by=Evidence.VENUE_REPORT)


NEVER_PLACED = {
    "canceled": (placed(), canceled(Evidence.NEVER_PLACED)),
    "expired": (DAY, expired(Evidence.NEVER_PLACED)),
}


@pytest.mark.parametrize("ended", NEVER_PLACED.values(), ids=NEVER_PLACED)
@pytest.mark.parametrize("proof", [accepted(), executed("F1")], ids=e.event_name)
def test_an_order_that_ended_as_never_placed_can_turn_out_to_live(
    ended: tuple[e.OrderEvent, ...], proof: e.OrderEvent
) -> None:
    given(*ended).the_order_is(lives_unwanted=False)
    given(*ended, proof).the_order_is(lives_unwanted=True, status=given_status(*ended))


def given_status(*events: e.OrderEvent) -> Status:
    return Status.CANCELED if isinstance(events[-1], e.OrderCanceled) else Status.EXPIRED


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        (c.RecordCanceled, Phase.CANCELED),
        (c.RecordExpired, Phase.EXPIRED),
        (c.RecordRejected, Phase.REJECTED),
    ],
)
def test_an_unwanted_order_is_gone_when_the_venue_ended_it(word: type[c.Command], phase: Phase) -> None:
    unwanted = given(placed(), canceled(Evidence.NEVER_PLACED), accepted())
    case = unwanted.when(word)
    events = {c.RecordCanceled: canceled(), c.RecordExpired: expired(), c.RecordRejected: rejected()}
    case.then(events[word]).and_the_order_is(phase=phase, lives_unwanted=False)


def test_an_order_that_the_venue_canceled_does_not_live_there() -> None:
    given(placed(), started(), accepted(), canceled()).the_order_is(lives_unwanted=False)


def test_a_history_may_begin_with_any_event() -> None:
    given(accepted()).the_order_is(version=1, phase=Phase.OPEN, quantity=10)
