"""A duty made of single events is the duty that the whole order has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_adapter.work.duty import Duty, duty_after, duty_of
from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, Delivery, Evidence, OrderType, Phase, TimeInForce
from orders.eventstore.port import Recorded
from orders.shards import shard_of

AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
ORDER = UUID(int=0xABC)
RULES = Rules(venue=Capabilities(deduplicates=True, queries=True, cancels=True, replaces=True))


class Log:
    """One order's events, and the duty after each."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self.duty: Duty | None = None
        self.position = 100
        self.reason: str | None = None
        self._ids = 0

    def give(self, kind: type[c.Command], **fields: Any) -> None:
        self._ids += 1
        fields |= {"reason": f"reason {self._ids}"} if "reason" in fields else {}
        at = AT + timedelta(microseconds=self._ids)
        command = kind(order_id=ORDER, command_id=UUID(int=self._ids), at=at, by="test", **fields)
        try:
            events = decide(self.order, command, RULES)
        except Refusal:
            return
        for event in events:
            version = 0 if self.order is None else self.order.version
            self.order = evolve(ORDER, self.order, event)
            if isinstance(event, e.SubmitFailed | e.SubmitInDoubt | e.PlacementParked):
                self.reason = event.reason
            self.position += 1
            recorded = Recorded(self.position, ORDER, version + 1, event)
            self.duty = duty_after(self.duty, recorded, lambda _: self.order)

    def place(self, **terms: Any) -> None:
        made = c.Terms(symbol="EURUSD", quantity=10, type=OrderType.LIMIT, limit_price=Decimal("1.1"), **terms)
        self.give(c.PlaceOrder, account="local", terms=made)


COMMANDS = st.one_of(
    st.just((c.CancelOrder, {})),
    st.builds(lambda q: (c.ReplaceOrder, {"quantity": q}), st.integers(1, 20)),
    st.builds(lambda worker: (c.StartSubmit, {"worker": worker}), st.sampled_from(["first", "second"])),
    st.builds(
        lambda attempts, evidence: (
            c.RecordSubmitFailed,
            {"attempts": tuple(attempts), "reason": "r", "evidence": evidence},
        ),
        st.lists(st.integers(1, 4), min_size=1, max_size=4),
        st.sampled_from([Evidence.VENUE_ANSWER, Evidence.NEVER_SENT]),
    ),
    st.builds(lambda n: (c.RecordSubmitInDoubt, {"attempt": n, "reason": "r"}), st.integers(1, 4)),
    st.just((c.RecordAccepted, {})),
    st.just((c.RecordRejected, {"reason": "r"})),
    st.just((c.RecordCanceled, {})),
    st.just((c.RecordCancelRejected, {"reason": "r"})),
    st.builds(lambda q: (c.RecordReplaced, {"quantity": q, "limit_price": Decimal("1.2")}), st.integers(1, 20)),
    st.just((c.RecordReplaced, {"quantity": 15, "limit_price": Decimal("1.1")})),
    st.just((c.RecordReplaceRejected, {"reason": "r"})),
    st.builds(
        lambda n, q: (c.RecordExecution, {"exec_id": f"E{n}", "quantity": q, "price": Decimal(1)}),
        st.integers(1, 5),
        st.integers(1, 10),
    ),
    st.builds(lambda n: (c.RecordBust, {"exec_id": f"B{n}", "ref_exec_id": f"E{n}"}), st.integers(1, 5)),
    st.just((c.RecordExpired, {})),
    st.just((c.ExpireUnsent, {})),
    st.just((c.ParkPlacement, {"reason": "r"})),
    st.just((c.ResumePlacement, {"reason": "r"})),
    st.builds(lambda placed: (c.ResolveDoubt, {"placed": placed, "reason": "r"}), st.booleans()),
)


TOLD_BY_THE_ORDER = (
    *("order_id", "shard", "position", "version", "delivery", "symbol"),
    *("pending_cancel", "pending_replace", "unwanted"),
)


def check(log: Log) -> None:
    order, duty = log.order, log.duty
    assert order is not None
    asked = order.pending_cancel is not None or order.pending_replace is not None
    is_open = order.phase is Phase.OPEN and (order.delivery is not Delivery.ACKED or asked)
    assert (duty is not None) == (is_open or order.lives_unwanted)
    loaded = duty_of(order, log.position)
    if duty is None:
        assert loaded is None
        return
    assert loaded is not None
    assert [getattr(loaded, name) for name in TOLD_BY_THE_ORDER] == [getattr(duty, name) for name in TOLD_BY_THE_ORDER]
    assert (duty.position, duty.version) == (log.position, order.version)
    assert duty.delivery is order.delivery
    assert duty.pending_cancel == (order.pending_cancel is not None)
    assert duty.pending_replace == (order.pending_replace is not None)
    assert duty.unwanted == order.lives_unwanted
    assert duty.shard == shard_of(ORDER)
    assert duty.symbol == "EURUSD"
    if duty.delivery is not Delivery.ACKED:  # from its first event on
        assert (duty.attempts, duty.worker, duty.attempted_at) == (order.attempts, order.worker, order.attempted_at)
        assert duty.reason == log.reason


START = (c.StartSubmit, {"worker": "first"})
AGAIN = (c.StartSubmit, {"worker": "second"})
ACCEPTED = (c.RecordAccepted, {})
DOUBT = (c.RecordSubmitInDoubt, {"attempt": 1, "reason": "r"})
FAILED = (c.RecordSubmitFailed, {"attempts": (1,), "reason": "r"})
CANCEL = (c.CancelOrder, {})
CHANGE = (c.ReplaceOrder, {"quantity": 15})
# Where an order may be: random commands alone seldom lead far.
BEGINNINGS = [
    *((), (START,), (START, DOUBT), (START, ACCEPTED), (START, FAILED, CANCEL)),
    *((START, CANCEL), (START, CHANGE), (START, DOUBT, CHANGE, CANCEL)),
    *((START, FAILED, AGAIN), (START, DOUBT, AGAIN)),
    *((START, ACCEPTED, CHANGE), (START, ACCEPTED, CANCEL), (START, ACCEPTED, CHANGE, CANCEL)),
]


@settings(max_examples=200)
@given(st.sampled_from(BEGINNINGS), st.lists(COMMANDS, max_size=12), st.sampled_from(list(TimeInForce)))
def test_after_every_event_the_duty_is_that_of_the_order(
    beginning: tuple[tuple[type[c.Command], dict[str, Any]], ...],
    commands: list[tuple[type[c.Command], dict[str, Any]]],
    tif: TimeInForce,
) -> None:
    log = Log()
    log.place(time_in_force=tif)
    check(log)
    for kind, fields in (*beginning, *commands):
        log.give(kind, **fields)
        check(log)


def test_a_duty_counts_from_the_event_that_began_it() -> None:
    log = Log()
    log.place()
    assert log.duty is not None
    assert log.duty.since_position == 101
    log.give(c.StartSubmit, worker="w")
    assert log.duty.since_position == 101
    log.give(c.RecordAccepted)
    assert log.duty is None
    log.give(c.CancelOrder)
    assert log.duty is not None
    assert log.duty.since_position == 104


def test_a_failed_order_steps_back_for_a_while_and_a_cancel_calls_it_forward() -> None:
    log = Log()
    log.place()
    log.give(c.StartSubmit, worker="w")
    log.give(c.RecordSubmitFailed, attempts=(1,), reason="r")
    assert log.duty is not None
    assert log.duty.not_before is not None
    assert (log.duty.failures, log.duty.attempts) == (1, 1)
    log.give(c.StartSubmit, worker="w")
    assert log.duty.not_before is None
    log.give(c.RecordSubmitInDoubt, attempt=2, reason="r")
    log.give(c.CancelOrder)
    assert log.duty.not_before is None
    assert log.duty.pending_cancel


def test_what_came_before_is_not_applied_again() -> None:
    log = Log()
    log.place()
    duty, order = log.duty, log.order
    assert duty is not None
    assert order is not None
    log.give(c.StartSubmit, worker="w")
    later = log.duty
    log.order = order
    log.give(c.ParkPlacement, reason="a repeat of version 2")
    assert log.duty == later


def test_only_a_day_order_has_an_end() -> None:
    for tif in TimeInForce:
        log = Log()
        log.place(time_in_force=tif)
        assert log.duty is not None
        end = datetime(2026, 11, 3, tzinfo=UTC) if tif is TimeInForce.DAY else None
        assert log.duty.expires_at == end
