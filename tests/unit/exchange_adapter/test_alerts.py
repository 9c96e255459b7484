"""Which alerts are open after which events."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange_adapter.alerts import Alert, AlertKind, Name, Step, changes
from exchange_adapter.bounds import ALERT_QUIET_S, MAX_ALERT_DETAIL
from exchange_adapter.work.duty import Duty, duty_after
from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.order import Order, evolve
from orders.domain.terms import Rules
from orders.domain.values import Capabilities, Delivery, OrderType, Phase
from orders.eventstore.port import Recorded
from tests.support.adapter_floor import FULL, PLAIN
from tests.support.order_events import OPENING, ORDER_ID

CANCELS = Capabilities(cancels=True)
Given = tuple[type[c.Command], dict[str, Any]]


class History:
    """One order at a venue, and the alerts after each event. `late_s`: how much later the log is read."""

    def __init__(self, venue: Capabilities = FULL, *, late_s: float = 0.0) -> None:
        self.venue = venue
        self.order: Order | None = None
        self.duty: Duty | None = None
        self.alerts: dict[Name, Alert] = {}
        self.late_fills = self.late_replaces = 0
        self.position = 0
        self._late = timedelta(seconds=late_s)

    def give(self, kind: type[c.Command], **fields: Any) -> History:
        """A command that is refused changes nothing."""
        self.position += 1
        stamp = {"order_id": ORDER_ID, "command_id": UUID(int=self.position), "at": self.at, "by": "test"}
        try:
            events = decide(self.order, kind(**stamp, **fields), Rules(venue=self.venue))
        except Refusal:
            return self
        for event in events:
            self._happen(event)
        return self

    @property
    def at(self) -> datetime:
        return OPENING + timedelta(seconds=self.position)

    @property
    def open(self) -> set[str]:
        return {alert.kind.value for alert in self.alerts.values()}

    def of(self, kind: AlertKind) -> Alert:
        return self.alerts[Name(kind, str(ORDER_ID))]

    def _happen(self, event: e.OrderEvent) -> None:
        version = self.order.version + 1 if self.order else 1
        self.order = evolve(ORDER_ID, self.order, event)
        self.position += 1
        ended = self.order.phase not in (Phase.OPEN, Phase.FILLED)
        self.late_fills += isinstance(event, e.OrderExecuted) and ended
        self.late_replaces += isinstance(event, e.OrderReplaced) and event.late
        recorded = Recorded(self.position, ORDER_ID, version, event)
        look_up = lambda order_id: self.order  # noqa: E731
        self.duty = duty_after(self.duty, recorded, look_up)
        step = Step(recorded, self.duty)
        changed = changes(self.alerts, step, venue=self.venue, look_up=look_up, now=event.at + self._late)
        for name, alert in changed.items():
            assert alert is not None or name in self.alerts, "it ends what is not open"
            if alert is None:
                del self.alerts[name]
            else:
                self.alerts[name] = alert


def placed(venue: Capabilities = FULL, **how: Any) -> History:
    terms = c.Terms(symbol="EURUSD", quantity=10, type=OrderType.LIMIT, limit_price=Decimal("1.1"))
    return History(venue, **how).give(c.PlaceOrder, account="local", terms=terms)


SENT: Given = (c.StartSubmit, {"worker": "w"})
ACCEPTED: Given = (c.RecordAccepted, {})
DOUBTED: Given = (c.RecordSubmitInDoubt, {"attempt": 1, "reason": "no answer"})
FAILED: Given = (c.RecordSubmitFailed, {"attempts": (1,), "reason": "it never arrived"})
PARKED: Given = (c.ParkPlacement, {"reason": "8 attempts failed"})
CANCEL: Given = (c.CancelOrder, {})
CANCELED: Given = (c.RecordCanceled, {})
REPLACED: Given = (c.RecordReplaced, {"quantity": 20, "limit_price": Decimal("1.1")})
PLACED: Given = (c.ResolveDoubt, {"placed": True, "reason": "asked by phone"})
NOT_PLACED: Given = (c.ResolveDoubt, {"placed": False, "reason": "asked by phone"})
RESUMED: Given = (c.ResumePlacement, {"reason": "mended"})


def filled(quantity: int, exec_id: str = "E1") -> Given:
    return (c.RecordExecution, {"exec_id": exec_id, "quantity": quantity, "price": Decimal("1.1")})


def busted(ref: str) -> Given:
    return (c.RecordBust, {"exec_id": f"bust of {ref}", "ref_exec_id": ref})


def change(quantity: int) -> Given:
    return (c.ReplaceOrder, {"quantity": quantity})


AT_VENUE = (SENT, ACCEPTED)
HELD = (SENT, DOUBTED)
UNWANTED = (SENT, DOUBTED, CANCEL, FAILED, filled(4))


@pytest.mark.parametrize(
    ("venue", "story", "alerts"),
    [
        pytest.param(FULL, (), set(), id="placed"),
        pytest.param(FULL, (SENT, FAILED), set(), id="failed once"),
        pytest.param(FULL, (SENT, FAILED, PARKED), {"order_parked"}, id="parked"),
        pytest.param(FULL, (SENT, FAILED, PARKED, RESUMED), set(), id="parked and resumed"),
        pytest.param(FULL, (SENT, FAILED, PARKED, CANCEL), set(), id="parked and canceled"),
        pytest.param(FULL, HELD, set(), id="in doubt at a venue that can be asked"),
        pytest.param(PLAIN, HELD, {"order_held"}, id="in doubt for a person"),
        pytest.param(PLAIN, (*HELD, PLACED), set(), id="in doubt, said to be placed"),
        pytest.param(PLAIN, (*HELD, NOT_PLACED), set(), id="in doubt, said not to be placed"),
        pytest.param(PLAIN, (*HELD, ACCEPTED), set(), id="in doubt, answered late"),
        pytest.param(PLAIN, (*HELD, CANCEL), {"order_held"}, id="in doubt, and the venue cannot cancel"),
        pytest.param(CANCELS, (*HELD, CANCEL), set(), id="in doubt, and the cancel will tell"),
        pytest.param(FULL, UNWANTED, {"unwanted_order", "late_fill"}, id="ended as never placed, and filled"),
        pytest.param(FULL, (*UNWANTED, CANCELED), {"late_fill"}, id="the same, canceled there"),
        pytest.param(FULL, (*AT_VENUE, filled(4)), set(), id="filled in part"),
        pytest.param(FULL, (*AT_VENUE, CANCELED, filled(4)), {"late_fill"}, id="filled after a cancel"),
        pytest.param(FULL, (*AT_VENUE, (c.RecordExpired, {}), filled(4)), {"late_fill"}, id="filled after its day"),
        pytest.param(FULL, (*AT_VENUE, CANCELED, filled(10)), set(), id="completed after a cancel"),
        pytest.param(FULL, (*AT_VENUE, filled(10), filled(1, "E2")), {"overfill"}, id="filled too much"),
        pytest.param(FULL, (*AT_VENUE, filled(11), busted("E1")), set(), id="filled too much, busted"),
        pytest.param(FULL, (*AT_VENUE, change(20), filled(11)), set(), id="the larger quantity is under way"),
        pytest.param(FULL, (*AT_VENUE, change(20), filled(21)), {"overfill"}, id="more than the larger quantity"),
        pytest.param(FULL, (*AT_VENUE, change(20), filled(10), REPLACED), set(), id="replaced in time"),
    ],
)
def test_what_opens_and_ends_an_alert(venue: Capabilities, story: tuple[Given, ...], alerts: set[str]) -> None:
    history = placed(venue)
    for kind, fields in story:
        history.give(kind, **fields)
    assert history.open == alerts


def told(*story: Given, venue: Capabilities = FULL, late_s: float = 0.0) -> History:
    history = placed(venue, late_s=late_s)
    for kind, fields in story:
        history.give(kind, **fields)
    return history


def test_an_alert_says_which_order_and_why() -> None:
    held = told(*HELD, venue=PLAIN).of(AlertKind.ORDER_HELD)
    assert held.key == str(ORDER_ID)
    assert held.detail == "buy 10 EURUSD at 1.1: no answer"


def test_an_alert_is_as_old_as_its_cause_whatever_else_happens_to_the_order() -> None:
    history = told(*HELD, venue=PLAIN)
    first = history.of(AlertKind.ORDER_HELD)
    history.give(*CANCEL[:1], **CANCEL[1])
    assert history.of(AlertKind.ORDER_HELD) == first


def test_a_replace_that_the_venue_carried_out_after_the_fill_is_told() -> None:
    done = (c.RecordReplaced, {"quantity": 20, "limit_price": Decimal("1.1"), "request_id": UUID(int=7)})
    history = told(*AT_VENUE)
    assert history.position == 6  # so that the next command, and with it the request, has the number 7
    for kind, fields in (change(20), (filled(10)[0], {**filled(10)[1], "leaves": 0}), done):
        history.give(kind, **fields)
    assert history.open == {"late_replace"}


def test_what_comes_again_is_counted() -> None:
    history = told(*AT_VENUE, CANCELED, filled(1), filled(1, "E2"), filled(1, "E2"))
    late = history.of(AlertKind.LATE_FILL)
    assert late.times == 2
    assert late.opened_at < late.last_at
    assert "(E2)" in late.detail


def test_contradictions_of_long_ago_open_nothing_and_what_lasts_does() -> None:
    story = (*AT_VENUE, CANCELED, filled(1))
    assert told(*story, late_s=ALERT_QUIET_S).open == {"late_fill"}
    assert told(*story, late_s=ALERT_QUIET_S + 1).open == set()
    assert told(*HELD, venue=PLAIN, late_s=ALERT_QUIET_S + 1).open == {"order_held"}


def test_reports_of_unknown_orders_are_one_alert_a_venue() -> None:
    alerts: dict[Name, Alert] = {}
    for number in range(3):
        event = e.ReportUnmatched(
            event_id=UUID(int=number),
            at=OPENING,
            by="test",
            venue="theirs",
            report_key=f"j/{number}",
            order_ref="X\0" + "x" * 1_000,
            report={},
        )
        step = Step(Recorded(number + 1, UUID(int=9), number + 1, event), None)
        for name, alert in changes(alerts, step, venue=FULL, look_up=lambda _: None, now=OPENING).items():
            assert alert is not None
            alerts[name] = alert
    (alert,) = alerts.values()
    assert (alert.name, alert.times, alert.position) == (Name(AlertKind.UNKNOWN_ORDER, "theirs"), 3, 3)
    assert alert.detail.startswith("report j/2 names order Xx")
    assert len(alert.detail) == MAX_ALERT_DETAIL


COMMANDS: st.SearchStrategy[Given] = st.one_of(
    st.sampled_from([SENT, ACCEPTED, DOUBTED, FAILED, PARKED, RESUMED, CANCEL, CANCELED, REPLACED, PLACED, NOT_PLACED]),
    st.just((c.RecordReplaceRejected, {"reason": "r"})),
    st.just((c.RecordCancelRejected, {"reason": "r"})),
    st.builds(change, st.integers(1, 20)),
    st.builds(lambda n, q: filled(q, f"E{n}"), st.integers(1, 4), st.integers(1, 12)),
    st.builds(lambda n: busted(f"E{n}"), st.integers(1, 4)),
    st.builds(
        lambda n, q: (
            c.RecordCorrection,
            {"exec_id": f"C{n}", "ref_exec_id": f"E{n}", "quantity": q, "price": Decimal(1)},
        ),
        st.integers(1, 4),
        st.integers(1, 25),
    ),
)
# Where an order may be: random commands alone seldom lead far.
BEGINNINGS = [(), HELD, AT_VENUE, UNWANTED, (*AT_VENUE, change(20)), (*AT_VENUE, CANCELED), (SENT, FAILED, PARKED)]


def naive(history: History) -> set[str]:
    """The alerts that the whole order calls for, whatever led there."""
    order, venue = history.order, history.venue
    assert order is not None
    is_open = order.phase is Phase.OPEN
    asks = venue.queries or venue.deduplicates or (venue.cancels and order.pending_cancel is not None)
    wanted = {
        "order_parked": is_open and order.delivery is Delivery.PARKED,
        "order_held": is_open and order.delivery is Delivery.IN_DOUBT and not asks,
        "unwanted_order": order.lives_unwanted,
        "overfill": order.overfilled,
        "late_fill": history.late_fills > 0,
        "late_replace": history.late_replaces > 0,
    }
    return {kind for kind, is_wanted in wanted.items() if is_wanted}


@settings(max_examples=200)
@given(st.sampled_from([FULL, PLAIN, CANCELS]), st.sampled_from(BEGINNINGS), st.lists(COMMANDS, max_size=12))
def test_after_every_event_the_alerts_are_those_that_the_whole_order_calls_for(
    venue: Capabilities, beginning: tuple[Given, ...], commands: list[Given]
) -> None:
    history = placed(venue)
    for kind, fields in (*beginning, *commands):
        history.give(kind, **fields)
        assert history.open == naive(history)
    if history.late_fills:
        assert history.of(AlertKind.LATE_FILL).times == history.late_fills
