"""What to do next for an order: a pure function of what the venue can do, the order, what was tried, and the time.

| the order is | and | next |
| --- | --- | --- |
| QUEUED | a day order whose day is over | Expire |
| QUEUED | failed PARK_AFTER_ATTEMPTS times, the last FAILED_ALONE while another order was placed | Park |
| QUEUED | | Submit |
| PARKED | a day order whose day is over | Expire |
| PARKED | | Hold |
| SENDING | this process claimed it and never called | NeverSent |
| SENDING | no call of this process stands behind it | Doubt |
| IN_DOUBT, cancel held | venue cancels, and repeats answers or cannot be asked | Cancel |
| IN_DOUBT, cancel held | venue queries | Query |
| IN_DOUBT, day over | venue queries | Query |
| IN_DOUBT, day over | | Hold |
| IN_DOUBT | venue deduplicates | Submit |
| IN_DOUBT | venue queries | Query |
| IN_DOUBT | the operator chose to resend, the last attempt can have neither started nor answered any more | Submit |
| IN_DOUBT | the same, sooner | Wait |
| IN_DOUBT | | Hold |
| ACKED, replace pending | not sent before, or the venue repeats its answers | Replace |
| ACKED, replace pending | its answer was lost, venue queries, no cancel waits | Query |
| ACKED, replace pending | its answer was lost, no cancel waits | Hold |
| ACKED, cancel pending | refused, perhaps because an earlier try of it went through; venue queries | Query |
| ACKED, cancel pending | the same; venue cannot be asked | Hold |
| ACKED, cancel pending | (after the replace, where one is pending too) | Cancel |
| ended as never placed, lives at the venue | venue cancels, and has not answered yet | Cancel |
| ended as never placed, lives at the venue | | Hold |
| anything else | | Settled |

Whatever calls the venue waits for its backoff first (Wait), counted from the end of the last try. A resend while in
doubt carries the terms of the first attempt: a replace that came meanwhile is held. Where the venue would take it for
another order, it waits besides until START_BOUND_S and the call's timeout are over: a slow answer may still settle it.
A cancel sent while in doubt asks whether the order is there. Where another word says so first, what is held goes out in
the order in which it was asked for: a replace, and that cancel again.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid5

from msgspec import Struct

from exchange_adapter.bounds import (
    FAILED_ALONE,
    FIRST_RETRY_S,
    HELD_ALERT_S,
    MAX_DOUBLINGS,
    RETRY_CAP_S,
    RETRY_SPREAD,
    START_BOUND_S,
)
from orders.domain.order import Order
from orders.domain.values import Capabilities, Delivery, Phase, TimeInForce


class Limits(Struct, frozen=True, kw_only=True):
    call_timeout_s: float = 10.0
    park_after_attempts: int = 8


class Seen(Struct, frozen=True, kw_only=True):
    """What this process knows of its work on an order. All of it may be lost: that costs time, never safety.

    `tries`: calls without success since the last one with it; `tried_at`: when the last of them ended, on the monotonic
    clock; `jitter`: 0 to 1, drawn for each try.
    """

    tries: int = 0
    tried_at: float = 0.0
    attempted_at: float = 0.0  # when the newest attempt was claimed or, if by another process, first seen here
    jitter: float = 0.5
    never_called: bool = False  # the claim that stands is ours, and no call followed it
    replace_lost: UUID | None = None  # the request whose answer did not come
    cancel_refused: UUID | None = None  # the venue refused it: perhaps because an earlier try went through
    unwanted_answered: bool = False  # the venue has answered the cancel of an order that should not live there
    failed_alone: int = 0  # failures of this order since another one was placed while it was failing


class Now(Struct, frozen=True):
    """`monotonic` in seconds measures waits; `utc` only says whether a day is over."""

    monotonic: float
    utc: datetime


class Submit(Struct, frozen=True):
    pass


class Query(Struct, frozen=True):
    pass


class Cancel(Struct, frozen=True):
    request_id: UUID


class Replace(Struct, frozen=True):
    pass


class Park(Struct, frozen=True):
    reason: str


class Expire(Struct, frozen=True):
    pass


class Doubt(Struct, frozen=True):
    reason: str


class NeverSent(Struct, frozen=True):
    pass


class Hold(Struct, frozen=True):
    """Nothing to do until the order changes; a person may have to. `reason` is for the log."""

    reason: str


class Wait(Struct, frozen=True):
    until: float  # on the monotonic clock


class Settled(Struct, frozen=True):
    """No duty is left."""


VenueStep = Submit | Query | Cancel | Replace
Step = VenueStep | Park | Expire | Doubt | NeverSent | Hold | Wait | Settled

_PARKED = Hold("parked: out of the queue until it is resumed")
_NO_WAY_TO_KNOW = Hold("in doubt: the exchange tells repeats not apart and cannot be asked")
_DAY_OVER_IN_DOUBT = Hold("in doubt, and its day is over: the exchange cannot be asked")
_REPLACE_LOST = Hold("the answer to a replace was lost, and the exchange does not repeat its answers")
_CANCEL_REFUSED = Hold("a cancel was refused after its first answer was lost; waiting for the exchange's report")
_UNWANTED = Hold("lives at the exchange, although it ended here as never placed")
_UNSETTLED = "asked about again and again: nothing that the exchange answers settles it"


def next_step(venue: Capabilities, order: Order, seen: Seen, now: Now, limits: Limits) -> Step:
    """See the table above."""
    step = _unhurried(venue, order, seen, now, limits)
    if isinstance(step, VenueStep) and seen.tries > 0:
        due = seen.tried_at + backoff_s(seen.tries, seen.jitter)
        if due > now.monotonic:
            return Wait(due)
    return step


def _unhurried(venue: Capabilities, order: Order, seen: Seen, now: Now, limits: Limits) -> Step:
    if order.phase is not Phase.OPEN:
        return _ended(venue, order, seen)
    match order.delivery:
        case Delivery.QUEUED:
            return _queued(order, seen, now, limits)
        case Delivery.PARKED:
            return Expire() if day_is_over(order, now.utc) else _PARKED
        case Delivery.SENDING:
            return NeverSent() if seen.never_called else Doubt("no running call of its owner stands behind the attempt")
        case Delivery.IN_DOUBT:
            return _in_doubt(venue, order, seen, now, limits)
        case Delivery.ACKED:
            return _at_venue(venue, order, seen)


class Waits(Struct, frozen=True):
    """An order that may wait for ever, unless a person or a word of the venue's settles it. `patience_s`: not a matter
    for a person before that."""

    reason: str
    patience_s: float


def waits_for_word(venue: Capabilities, order: Order, seen: Seen, now: Now, limits: Limits) -> Waits | None:
    """None: it goes on by itself. What the venue is asked about is settled once its "not found" counts, if it ever
    does; asking goes on after that, since the venue may turn out to have it. Of what lives unwanted another alert
    tells."""
    step = _unhurried(venue, order, seen, now, limits)
    if isinstance(step, Hold) and not order.lives_unwanted:
        return Waits(step.reason, HELD_ALERT_S)
    asks = isinstance(step, Query) or (isinstance(step, Cancel) and order.delivery is Delivery.IN_DOUBT)
    if not asks:
        return None
    return Waits(_UNSETTLED, HELD_ALERT_S + (not_found_counts_after_s(venue, limits) or 0.0))


def _queued(order: Order, seen: Seen, now: Now, limits: Limits) -> Step:
    if day_is_over(order, now.utc):
        return Expire()
    enough = limits.park_after_attempts
    if order.failures >= enough and seen.failed_alone >= min(FAILED_ALONE, enough):
        return Park(f"{order.failures} attempts failed while other orders were placed")
    return Submit()


def _in_doubt(venue: Capabilities, order: Order, seen: Seen, now: Now, limits: Limits) -> Step:
    if order.pending_cancel is not None:
        if venue.cancels and (venue.repeats_answers or not venue.queries):
            return Cancel(order.pending_cancel)
        if venue.queries:
            return Query()
    if day_is_over(order, now.utc):
        return Query() if venue.queries else _DAY_OVER_IN_DOUBT
    if venue.deduplicates:
        return Submit()
    if venue.queries:
        return Query()
    if not venue.resends_blindly:
        return _NO_WAY_TO_KNOW
    unanswered_at = seen.attempted_at + unanswered_after_s(limits)
    return Submit() if now.monotonic >= unanswered_at else Wait(unanswered_at)


def _at_venue(venue: Capabilities, order: Order, seen: Seen) -> Step:
    change, cancel = order.pending_replace, order.pending_cancel
    if change is not None:
        lost = seen.replace_lost == change.request_id
        if not lost or venue.repeats_answers:
            return Replace()
        if cancel is None:
            return Query() if venue.queries else _REPLACE_LOST
    if cancel is None:
        return Settled()
    if seen.cancel_refused == cancel:
        return Query() if venue.queries else _CANCEL_REFUSED
    return Cancel(cancel)


def _ended(venue: Capabilities, order: Order, seen: Seen) -> Step:
    if not order.lives_unwanted:
        return Settled()
    return Cancel(unwanted_cancel_id(order.id)) if venue.cancels and not seen.unwanted_answered else _UNWANTED


def unwanted_cancel_id(order_id: UUID) -> UUID:
    """The id of our own cancel of an order that should not live at the venue: always the same, so repeats are known."""
    return uuid5(order_id, "cancel what was never placed")


def backoff_s(tries: int, jitter: float) -> float:
    """Seconds between the end of the `tries`-th failing try and the next one."""
    low, high = RETRY_SPREAD
    factor = low + (high - low) * jitter
    return min(RETRY_CAP_S, FIRST_RETRY_S * 2.0 ** min(tries - 1, MAX_DOUBLINGS) * factor)


def unanswered_after_s(limits: Limits) -> float:
    """How long after an attempt's claim its call is past its timeout, if it began at all."""
    return START_BOUND_S + limits.call_timeout_s


def not_found_counts_after_s(venue: Capabilities, limits: Limits) -> float | None:
    """How long after an attempt's claim the venue's "not found" is believed; None: never, it declares no bound."""
    if venue.late_arrival_s is None:
        return None
    return unanswered_after_s(limits) + venue.late_arrival_s


def day_end(created_at: datetime) -> datetime:
    """24:00 UTC of the day that a day order was placed on."""
    return datetime.combine(created_at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def day_is_over(order: Order, utc: datetime) -> bool:
    return order.placed.time_in_force is TimeInForce.DAY and utc >= day_end(order.created_at)


def can_go_on(
    venue: Capabilities, delivery: Delivery, *, cancel: bool = False, change: bool = False, unwanted: bool = False
) -> bool:
    """Whether the adapter has anything to try for an open duty: with a cancel or a change pending, or alive at the
    venue though it ended here. What it tries may still come to nothing: see `waits_for_word`. The query `due` of
    work/duties.sql says the same."""
    match delivery:
        case Delivery.PARKED:
            return False
        case Delivery.IN_DOUBT:
            return venue.deduplicates or venue.queries or venue.resends_blindly or (cancel and venue.cancels)
        case Delivery.ACKED:
            return change or ((cancel or unwanted) and venue.cancels)
    return True
