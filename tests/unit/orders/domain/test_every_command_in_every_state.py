"""The table of all decisions: what each command makes happen in each state of an order.

A cell is the names of the events, `-` where nothing happens, or `!` and the refusal. No cell may be missing.
"""

import pytest

from orders.domain import commands as c
from orders.domain.decide import decide, tell
from orders.domain.errors import Refusal
from orders.domain.events import OrderEvent, event_name
from orders.domain.order import fold
from orders.domain.values import Evidence, TimeInForce
from tests.support.given import When, given
from tests.support.order_events import (
    accepted,
    cancel_requested,
    canceled,
    doubted,
    executed,
    expired,
    parked,
    placed,
    rejected,
    replace_requested,
    started,
)

DAY = placed(time_in_force=TimeInForce.DAY)

STATES: dict[str, tuple[OrderEvent, ...]] = {
    "queued": (DAY,),
    "parked": (DAY, parked()),
    "sending": (DAY, started()),
    "in_doubt": (DAY, started(), doubted()),
    "sending_again": (DAY, started(), doubted(), started(2)),
    "acked": (DAY, started(), accepted()),
    "partly": (DAY, started(), accepted(), executed("F1", 4)),
    "cancel_held": (DAY, started(), cancel_requested()),
    "cancel_in_doubt": (DAY, started(), cancel_requested(), doubted()),
    "cancel_pending": (DAY, started(), accepted(), cancel_requested()),
    "replace_held": (DAY, started(), replace_requested()),
    "replace_in_doubt": (DAY, started(), replace_requested(), doubted()),
    "replace_pending": (DAY, started(), accepted(), replace_requested()),
    "both_pending": (DAY, started(), accepted(), replace_requested(), cancel_requested()),
    "filled": (DAY, started(), accepted(), executed("F1", 10, leaves=0)),
    "canceled": (DAY, started(), accepted(), canceled()),
    "never_sent": (DAY, canceled(Evidence.NEVER_PLACED)),
    "unwanted": (DAY, canceled(Evidence.NEVER_PLACED), accepted()),
    "expired": (DAY, started(), accepted(), expired()),
    "rejected": (DAY, started(), rejected()),
}

NOT_SENT = "queued parked"
UNSETTLED = "sending in_doubt sending_again"
HELD = "cancel_held cancel_in_doubt replace_held replace_in_doubt"
AT_VENUE = "acked partly"
PENDING = "cancel_pending replace_pending both_pending"
OPEN = f"{NOT_SENT} {UNSETTLED} {HELD} {AT_VENUE} {PENDING}"
ENDED = "filled canceled never_sent unwanted expired rejected"
ANY = f"{OPEN} {ENDED}"

Row = dict[str, str]

TABLE: dict[type[c.Command], Row] = {
    c.PlaceOrder: {"!NotApplicable": ANY},
    c.CancelOrder: {
        "OrderCanceled": NOT_SENT,
        "CancelRequested": f"{UNSETTLED} {AT_VENUE} replace_held replace_in_doubt replace_pending",
        "!RequestPending": "cancel_held cancel_in_doubt cancel_pending both_pending",
        "!OrderEnded": ENDED,
    },
    c.ReplaceOrder: {
        "OrderReplaced": NOT_SENT,
        "ReplaceRequested": f"{UNSETTLED} {AT_VENUE}",
        "!RequestPending": f"{HELD} {PENDING}",
        "!OrderEnded": ENDED,
    },
    c.StartSubmit: {
        "SubmitStarted": "queued in_doubt replace_in_doubt",
        "!NotApplicable": (
            f"parked sending sending_again cancel_held cancel_in_doubt replace_held {AT_VENUE} {PENDING} {ENDED}"
        ),
    },
    c.RecordSubmitFailed: {
        "SubmitFailed": UNSETTLED,
        "SubmitFailed OrderCanceled": "cancel_held cancel_in_doubt",
        "SubmitFailed OrderReplaced": "replace_held replace_in_doubt",
        "-": f"{NOT_SENT} {AT_VENUE} {PENDING} {ENDED}",
    },
    c.RecordSubmitInDoubt: {
        "SubmitInDoubt": "sending cancel_held replace_held",
        "-": f"{NOT_SENT} in_doubt sending_again cancel_in_doubt replace_in_doubt {AT_VENUE} {PENDING} {ENDED}",
    },
    c.RecordAccepted: {
        "OrderAccepted": f"{NOT_SENT} {UNSETTLED} {HELD} never_sent rejected",
        "-": f"{AT_VENUE} {PENDING} filled canceled unwanted expired",
    },
    c.RecordRejected: {
        "OrderRejected": f"{OPEN} unwanted",
        "-": "filled canceled never_sent expired rejected",
    },
    c.RecordCanceled: {
        "OrderCanceled": f"{OPEN} filled unwanted",
        "-": "canceled never_sent expired rejected",
    },
    c.RecordCancelRejected: {
        "CancelRejected": "cancel_held cancel_in_doubt cancel_pending both_pending",
        "-": f"{NOT_SENT} {UNSETTLED} replace_held replace_in_doubt {AT_VENUE} replace_pending {ENDED}",
    },
    c.RecordReplaced: {
        "OrderReplaced": OPEN,
        "-": ENDED,
    },
    c.RecordReplaceRejected: {
        "ReplaceRejected": "replace_held replace_in_doubt replace_pending both_pending",
        "-": f"{NOT_SENT} {UNSETTLED} cancel_held cancel_in_doubt {AT_VENUE} cancel_pending {ENDED}",
    },
    c.RecordExecution: {"OrderExecuted": ANY},
    c.RecordBust: {"ExecutionBusted": ANY},
    c.RecordCorrection: {"ExecutionCorrected": ANY},
    c.RecordExpired: {
        "OrderExpired": f"{OPEN} filled unwanted",
        "-": "canceled never_sent expired rejected",
    },
    c.ExpireUnsent: {
        "OrderExpired": NOT_SENT,
        "!NotApplicable": f"{UNSETTLED} {HELD} {AT_VENUE} {PENDING} {ENDED}",
    },
    c.ParkPlacement: {
        "PlacementParked": "queued",
        "!NotApplicable": f"parked {UNSETTLED} {HELD} {AT_VENUE} {PENDING} {ENDED}",
    },
    c.ResumePlacement: {
        "PlacementResumed": "parked",
        "!NotApplicable": f"queued {UNSETTLED} {HELD} {AT_VENUE} {PENDING} {ENDED}",
    },
    c.ResolveDoubt: {
        "OperatorResolved": "in_doubt cancel_in_doubt replace_in_doubt",
        "!NotApplicable": (f"{NOT_SENT} sending sending_again cancel_held replace_held {AT_VENUE} {PENDING} {ENDED}"),
    },
}

CELLS = [
    pytest.param(command, state, outcome, id=f"{command.__name__}-{state}")
    for command, row in TABLE.items()
    for outcome, states in row.items()
    for state in states.split()
]


@pytest.mark.parametrize(("command", "state", "outcome"), CELLS)
def test_a_command_makes_happen_what_the_table_says(command: type[c.Command], state: str, outcome: str) -> None:
    case = given(*STATES[state]).when(command)
    assert outcome_of(case) == outcome
    if not outcome.startswith("!"):
        case.then(*decide(case.order, case.command, case.rules))


@pytest.mark.parametrize("command", [command for command in TABLE if command is not c.PlaceOrder])
def test_the_order_that_a_decision_leaves_is_the_one_that_its_events_make(command: type[c.Command]) -> None:
    for events in STATES.values():
        case = given(*events).when(command)
        assert case.order is not None
        try:
            story = tell(case.order, case.command, case.rules)
        except Refusal:
            continue
        assert story.order == fold(case.order.id, story.events, case.order)


def outcome_of(case: When) -> str:
    try:
        events = decide(case.order, case.command, case.rules)
    except Refusal as refusal:
        return f"!{type(refusal).__name__}"
    return " ".join(event_name(event) for event in events) or "-"


@pytest.mark.parametrize("command", TABLE)
def test_the_table_has_each_state_once_for_each_command(command: type[c.Command]) -> None:
    told = [state for states in TABLE[command].values() for state in states.split()]
    assert sorted(told) == sorted(STATES)


def test_the_table_has_every_command() -> None:
    assert set(TABLE) == set(c.Command.__subclasses__())
