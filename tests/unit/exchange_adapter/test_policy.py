"""Every row of the policy's table, and that every combination of what venues can do has its row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from exchange_adapter import policy as p
from exchange_adapter.bounds import FAILED_ALONE, HELD_ALERT_S, RETRY_CAP_S, START_BOUND_S
from orders.domain.commands import Terms
from orders.domain.order import Order, PendingReplace
from orders.domain.values import Capabilities, Delivery, Evidence, Phase, TimeInForce

PLACED_AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
SAME_DAY = datetime(2026, 11, 2, 23, 59, 59, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 3, tzinfo=UTC)
CANCEL, CHANGE = UUID(int=7), UUID(int=8)
LIMITS = p.Limits(call_timeout_s=10.0, park_after_attempts=8)


def order(**state: Any) -> Order:
    tif = TimeInForce.DAY if state.pop("day", False) else TimeInForce.GTC
    if state.pop("cancel", False):
        state["pending_cancel"] = CANCEL
    if state.pop("change", False):
        state["pending_replace"] = PendingReplace(request_id=CHANGE, quantity=12, limit_price=Decimal("1.1"))
    if state.get("delivery") is Delivery.IN_DOUBT:
        state = {"in_doubt": frozenset({1}), "attempts": 1, **state}
    return Order(
        id=UUID(int=1),
        account="local",
        placed=Terms(symbol="EURUSD", quantity=10, time_in_force=tif),
        quantity=10,
        limit_price=None,
        created_at=PLACED_AT,
        updated_at=PLACED_AT,
        terms_id=UUID(int=1),
        **state,
    )


NONE = Capabilities()


def step(
    order: Order, venue: Capabilities = NONE, *, at: float = 100.0, utc: datetime = SAME_DAY, **seen: Any
) -> p.Step:
    return p.next_step(venue, order, p.Seen(**seen), p.Now(at, utc), LIMITS)


def can(*names: str, **more: Any) -> Capabilities:
    return Capabilities(**dict.fromkeys(names, True), **more)


QUEUED, PARKED = order(), order(delivery=Delivery.PARKED)
SENDING, IN_DOUBT = order(delivery=Delivery.SENDING, attempts=1), order(delivery=Delivery.IN_DOUBT)
ACKED = order(delivery=Delivery.ACKED)


def test_a_queued_order_is_submitted() -> None:
    assert step(QUEUED) == p.Submit()


def test_a_queued_day_order_expires_when_its_day_is_over() -> None:
    assert step(order(day=True)) == p.Submit()
    assert step(order(day=True), utc=NEXT_DAY) == p.Expire()
    assert step(order(), utc=NEXT_DAY) == p.Submit()


@pytest.mark.parametrize(
    ("failures", "alone", "parks"),
    [(7, FAILED_ALONE, False), (8, FAILED_ALONE, True), (8, FAILED_ALONE - 1, False), (50, 0, False)],
)
def test_a_queued_order_is_parked_when_it_fails_often_enough_and_others_pass(
    failures: int, alone: int, parks: bool
) -> None:
    assert isinstance(step(order(failures=failures), failed_alone=alone), p.Park if parks else p.Submit)


def test_parking_comes_after_one_attempt_where_that_is_set() -> None:
    limits = replace(LIMITS, park_after_attempts=1)
    now, seen = p.Now(0.0, SAME_DAY), p.Seen(failed_alone=1)
    assert isinstance(p.next_step(Capabilities(), order(failures=1), seen, now, limits), p.Park)


def test_a_parked_order_is_held_until_its_day_is_over() -> None:
    assert isinstance(step(PARKED), p.Hold)
    assert step(order(delivery=Delivery.PARKED, day=True), utc=NEXT_DAY) == p.Expire()


def test_an_attempt_without_its_call_is_in_doubt_unless_it_was_surely_never_made() -> None:
    assert isinstance(step(SENDING), p.Doubt)
    assert step(SENDING, never_called=True) == p.NeverSent()


IN_DOUBT_ROWS = [
    # can, cancel held, day over -> step
    (can(), False, False, p.Hold),
    (can("deduplicates"), False, False, p.Submit),
    (can("queries"), False, False, p.Query),
    (can("deduplicates", "queries"), False, False, p.Submit),
    (can(), True, False, p.Hold),
    (can("deduplicates"), True, False, p.Submit),
    (can("queries"), True, False, p.Query),
    (can("deduplicates", "queries"), True, False, p.Query),
    (can("cancels"), True, False, p.Cancel),
    (can("cancels", "deduplicates"), True, False, p.Cancel),
    (can("cancels", "queries"), True, False, p.Query),
    (can("cancels", "queries", "repeats_answers"), True, False, p.Cancel),
    (can("cancels"), False, False, p.Hold),
    (can(), False, True, p.Hold),
    (can("deduplicates"), False, True, p.Hold),
    (can("queries"), False, True, p.Query),
    (can("deduplicates", "queries"), False, True, p.Query),
    (can("cancels", "deduplicates"), True, True, p.Cancel),
    (can("resends_in_doubt"), False, False, p.Submit),
    (can("resends_in_doubt"), True, False, p.Submit),
    (can("resends_in_doubt", "cancels"), False, False, p.Submit),
    (can("resends_in_doubt", "cancels"), True, False, p.Cancel),
    (can("resends_in_doubt", "queries"), False, False, p.Query),
    (can("resends_in_doubt", "queries"), True, False, p.Query),
    (can("resends_in_doubt"), False, True, p.Hold),
    (can("resends_in_doubt", "cancels"), True, True, p.Cancel),
]


@pytest.mark.parametrize(("venue", "cancel", "day_over", "expected"), IN_DOUBT_ROWS)
def test_what_is_in_doubt_is_settled_as_the_venue_allows(
    venue: Capabilities, cancel: bool, day_over: bool, expected: type[p.Step]
) -> None:
    doubtful = order(delivery=Delivery.IN_DOUBT, cancel=cancel, day=day_over)
    assert type(step(doubtful, venue, utc=NEXT_DAY)) is expected


def test_what_may_be_placed_twice_is_sent_again_only_when_a_slow_answer_cannot_come_any_more() -> None:
    resends = can("resends_in_doubt")
    due = 100.0 + START_BOUND_S + LIMITS.call_timeout_s
    assert step(IN_DOUBT, resends, at=100.1, attempted_at=100.0) == p.Wait(due)
    assert step(IN_DOUBT, resends, at=due, attempted_at=100.0) == p.Submit()
    backoff = {"tries": 9, "tried_at": 110.0, "jitter": 1.0}
    assert step(IN_DOUBT, resends, at=due, attempted_at=100.0, **backoff) == p.Wait(110.0 + p.backoff_s(9, 1.0))


@pytest.mark.parametrize("bits", list(product((False, True), repeat=4)))
def test_the_choice_to_resend_changes_nothing_at_a_venue_that_can_settle_doubt(bits: tuple[bool, ...]) -> None:
    names = ("deduplicates", "queries", "cancels", "replaces")
    declared = dict(zip(names, bits, strict=True))
    holds, resends = Capabilities(**declared), Capabilities(**declared, resends_in_doubt=True)
    for delivery, cancel, change, over in product(Delivery, *[(False, True)] * 3):
        state = order(delivery=delivery, cancel=cancel, change=change, day=over)
        utc = NEXT_DAY if over else SAME_DAY
        same = step(state, holds, utc=utc) == step(state, resends, utc=utc)
        only_way = delivery is Delivery.IN_DOUBT and not (holds.deduplicates or holds.queries)
        assert same == (not only_way or over or (cancel and holds.cancels)), (delivery, cancel, change, over)


def test_a_held_replace_does_not_change_how_doubt_is_settled() -> None:
    held = order(delivery=Delivery.IN_DOUBT, change=True)
    assert step(held, can("deduplicates", "replaces")) == p.Submit()
    assert step(held, can("queries", "replaces")) == p.Query()
    assert step(held, can("resends_in_doubt")) == p.Submit()


def test_nothing_is_left_to_do_for_an_order_at_the_venue() -> None:
    assert step(ACKED, can("cancels", "replaces")) == p.Settled()


ALL = can("cancels", "replaces", "repeats_answers")
FORGETFUL = can("cancels", "replaces")
REPLACE_ROWS = [
    # can, cancel waits, its answer was lost -> step
    (FORGETFUL, False, False, p.Replace),
    (FORGETFUL, True, False, p.Replace),
    (ALL, False, True, p.Replace),
    (ALL, True, True, p.Replace),
    (FORGETFUL, False, True, p.Hold),
    (can("cancels", "replaces", "queries"), False, True, p.Query),
    (FORGETFUL, True, True, p.Cancel),
    (can("cancels", "replaces", "queries"), True, True, p.Cancel),
]


@pytest.mark.parametrize(("venue", "cancel", "lost", "expected"), REPLACE_ROWS)
def test_a_replace_is_sent_before_the_cancel_and_again_only_where_answers_are_repeated(
    venue: Capabilities, cancel: bool, lost: bool, expected: type[p.Step]
) -> None:
    pending = order(delivery=Delivery.ACKED, change=True, cancel=cancel)
    assert type(step(pending, venue, replace_lost=CHANGE if lost else None)) is expected


def test_the_lost_answer_of_another_replace_does_not_matter() -> None:
    assert step(order(delivery=Delivery.ACKED, change=True), FORGETFUL, replace_lost=UUID(int=99)) == p.Replace()


def test_a_cancel_is_sent_and_sent_again_when_its_answer_was_lost() -> None:
    pending = order(delivery=Delivery.ACKED, cancel=True)
    assert step(pending, FORGETFUL) == p.Cancel(CANCEL)
    assert step(pending, FORGETFUL, tries=3) == p.Cancel(CANCEL)


def test_a_refusal_that_may_be_the_echo_of_a_lost_cancel_is_no_refusal() -> None:
    pending = order(delivery=Delivery.ACKED, cancel=True)
    assert isinstance(step(pending, FORGETFUL, cancel_refused=CANCEL), p.Hold)
    assert step(pending, can("cancels", "queries"), cancel_refused=CANCEL) == p.Query()
    assert step(pending, FORGETFUL, cancel_refused=UUID(int=99)) == p.Cancel(CANCEL)


def test_an_order_that_ended_as_never_placed_and_lives_at_the_venue_is_canceled_there() -> None:
    unwanted = order(delivery=Delivery.ACKED, closed=Phase.CANCELED, closed_by=Evidence.NEVER_PLACED)
    first = step(unwanted, FORGETFUL)
    assert first == p.Cancel(p.unwanted_cancel_id(unwanted.id))
    assert step(unwanted, FORGETFUL) == first, "always under the same id"
    assert isinstance(step(unwanted, FORGETFUL, unwanted_answered=True), p.Hold)
    assert isinstance(step(unwanted, can()), p.Hold)


@pytest.mark.parametrize("closed", [Phase.CANCELED, Phase.EXPIRED, Phase.REJECTED])
@pytest.mark.parametrize("delivery", list(Delivery))
def test_an_order_that_has_ended_needs_nothing(closed: Phase, delivery: Delivery) -> None:
    ended = order(delivery=delivery, closed=closed, closed_by=Evidence.VENUE_REPORT)
    assert step(ended, can("cancels", "queries", "deduplicates")) == p.Settled()


def test_what_calls_the_venue_waits_for_its_backoff_and_nothing_else_does() -> None:
    waiting = {"tries": 1, "tried_at": 100.0, "jitter": 0.5, "at": 100.1}
    due = 100.0 + p.backoff_s(1, 0.5)
    assert step(QUEUED, **waiting) == p.Wait(due)
    assert step(QUEUED, **{**waiting, "at": due}) == p.Submit()
    assert isinstance(step(SENDING, **waiting), p.Doubt)
    assert step(order(day=True), utc=NEXT_DAY, **waiting) == p.Expire()
    assert isinstance(step(order(failures=8), failed_alone=FAILED_ALONE, **waiting), p.Park)


def test_backoff_begins_below_half_a_second_grows_and_is_capped() -> None:
    assert 0.2 <= p.backoff_s(1, 0.0) < p.backoff_s(1, 1.0) <= 0.5
    for jitter in (0.0, 0.5, 1.0):
        waits = [p.backoff_s(tries, jitter) for tries in range(1, 2000)]
        assert waits == sorted(waits)
        assert waits[-1] == RETRY_CAP_S
    assert sum(p.backoff_s(tries, 1.0) for tries in range(1, 8)) < 90, "parking takes a minute, not an hour"


def test_not_found_counts_after_start_bound_call_timeout_and_late_arrival() -> None:
    assert p.not_found_counts_after_s(can(late_arrival_s=60.0), LIMITS) == 72.0
    assert p.not_found_counts_after_s(can(), LIMITS) is None


def test_a_day_ends_at_midnight_utc() -> None:
    assert p.day_end(PLACED_AT) == NEXT_DAY
    east = datetime(2026, 11, 3, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert p.day_end(east) == NEXT_DAY


@pytest.mark.parametrize("bits", list(product((False, True), repeat=5)))
def test_what_can_go_on_is_all_that_is_not_held(bits: tuple[bool, ...]) -> None:
    names = ("deduplicates", "queries", "cancels", "replaces", "resends_in_doubt")
    venue = can(*(name for name, has in zip(names, bits, strict=True) if has))
    for delivery, cancel, change in product(Delivery, (False, True), (False, True)):
        at_venue = delivery is Delivery.ACKED
        if (cancel and at_venue and not venue.cancels) or (change and at_venue and not venue.replaces):
            continue
        goes_on = p.can_go_on(venue, delivery, cancel=cancel, change=change)
        taken = step(order(delivery=delivery, cancel=cancel, change=change), venue)
        assert goes_on == (not isinstance(taken, p.Hold | p.Settled)), (delivery, cancel, change)


@pytest.mark.parametrize("bits", list(product((False, True), repeat=6)))
def test_a_person_hears_of_all_that_may_wait_for_ever(bits: tuple[bool, ...]) -> None:
    names = ("deduplicates", "queries", "cancels", "replaces", "repeats_answers", "resends_in_doubt")
    for late_arrival_s, patience_s in ((None, HELD_ALERT_S), (5.0, HELD_ALERT_S + START_BOUND_S + 10.0 + 5.0)):
        has = (name for name, bit in zip(names, bits, strict=True) if bit)
        venue = can(*has, late_arrival_s=late_arrival_s)
        for delivery, cancel, change, over, lost in product(Delivery, *[(False, True)] * 4):
            state = order(delivery=delivery, cancel=cancel, change=change, day=over)
            seen = p.Seen(**({"replace_lost": CHANGE, "cancel_refused": CANCEL} if lost else {}))
            now = p.Now(100.0, NEXT_DAY if over else SAME_DAY)
            taken = p.next_step(venue, state, seen, now, LIMITS)
            waits = p.waits_for_word(venue, state, seen, now, LIMITS)
            if isinstance(taken, p.Hold):
                assert waits == p.Waits(taken.reason, HELD_ALERT_S)
            elif isinstance(taken, p.Query) or (delivery is Delivery.IN_DOUBT and isinstance(taken, p.Cancel)):
                assert waits is not None
                assert waits.patience_s == patience_s
            else:
                assert waits is None


def test_of_an_order_that_lives_unwanted_another_alert_tells() -> None:
    unwanted = order(delivery=Delivery.ACKED, closed=Phase.CANCELED, closed_by=Evidence.NEVER_PLACED)
    assert isinstance(step(unwanted), p.Hold)
    assert p.waits_for_word(NONE, unwanted, p.Seen(), p.Now(100.0, SAME_DAY), LIMITS) is None


CALLS_OF = {p.Submit: None, p.Query: "queries", p.Cancel: "cancels", p.Replace: "replaces"}


@pytest.mark.parametrize("bits", list(product((False, True), repeat=6)))
def test_a_venue_is_never_asked_for_what_it_cannot_do_and_never_sent_a_repeat_it_cannot_tell(
    bits: tuple[bool, ...],
) -> None:
    names = ("deduplicates", "queries", "cancels", "replaces", "repeats_answers", "resends_in_doubt")
    venue = can(*(name for name, has in zip(names, bits, strict=True) if has))
    for delivery, cancel, change, over, lost in product(Delivery, *[(False, True)] * 4):
        # What the domain lets be pending: anything while unsettled, at the venue only what it can do.
        at_venue = delivery is Delivery.ACKED
        if (cancel and at_venue and not venue.cancels) or (change and at_venue and not venue.replaces):
            continue
        state = order(delivery=delivery, cancel=cancel, change=change, day=over)
        seen = {"replace_lost": CHANGE, "cancel_refused": CANCEL} if lost else {}
        taken = step(state, venue, utc=NEXT_DAY if over else SAME_DAY, **seen)
        needed = CALLS_OF.get(type(taken))  # type: ignore[call-overload]
        assert needed is None or getattr(venue, needed)
        if isinstance(taken, p.Submit) and delivery is Delivery.IN_DOUBT:
            assert venue.deduplicates or (venue.resends_in_doubt and not venue.queries)
        if isinstance(taken, p.Replace) and lost:
            assert venue.repeats_answers
