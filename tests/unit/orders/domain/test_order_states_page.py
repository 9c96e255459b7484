"""docs/reference/order-states.md says what the domain does: each of its tables is read and tried."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from orders.api.problems import PROBLEMS
from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.decide import decide
from orders.domain.errors import Refusal
from orders.domain.events import OrderEvent, event_name
from orders.domain.order import fold, view
from orders.domain.story import TOO_LATE
from orders.domain.values import Delivery, Evidence, OrdStatus, TimeInForce
from tests.support.fix_matrix import SIMPLE, Row
from tests.support.given import given
from tests.support.order_events import (
    CANCEL_ID,
    ORDER_ID,
    REPLACE_ID,
    accepted,
    busted,
    cancel_requested,
    canceled,
    doubted,
    executed,
    expired,
    parked,
    placed,
    rejected,
    replace_rejected,
    replace_requested,
    started,
)
from tests.unit.orders.domain.fix_appendix_d.every_row import DOES_NOT_APPLY, ROWS

PAGE = Path(__file__).parents[4] / "docs/reference/order-states.md"

WORKING = (placed(), started(), accepted())
HELD = (placed(), started())

STATES: dict[str, tuple[OrderEvent, ...]] = {
    "waits to be sent": (placed(),),
    "parked": (placed(), parked()),
    "on its way": HELD,
    "in doubt": (*HELD, doubted()),
    "at the exchange": WORKING,
    "partly filled": (*WORKING, executed("F1", 4)),
    "a replace is pending": (*WORKING, replace_requested()),
    "a cancel is pending": (*WORKING, cancel_requested()),
    "both are pending": (*WORKING, replace_requested(), cancel_requested()),
    "filled": (*WORKING, executed("F1", 10)),
    "canceled": (*WORKING, canceled()),
    "expired": (*WORKING, expired()),
    "rejected": (*HELD, rejected()),
}

FILL, DONE = {"exec_id": "F2", "quantity": 4, "leaves": 6}, {"exec_id": "F2", "quantity": 10, "leaves": 0}
CANCEL, REPLACE = {"request_id": CANCEL_ID}, {"request_id": REPLACE_ID}
PENDING_CANCEL = (*WORKING, cancel_requested())
PENDING_REPLACE = (*WORKING, replace_requested(20))
NEVER_SENT = (placed(), canceled(Evidence.NEVER_PLACED))

Race = tuple[tuple[OrderEvent, ...], type[c.Command], Mapping[str, object]]
RACES: dict[str, Race] = {
    "a cancel is held; the order did not arrive": ((*HELD, cancel_requested()), c.RecordSubmitFailed, {}),
    "a replace is held; the order did not arrive": ((*HELD, replace_requested()), c.RecordSubmitFailed, {}),
    "a cancel is held; the order arrived": ((*HELD, cancel_requested()), c.RecordAccepted, {}),
    "a cancel is held; the exchange refuses the order": ((*HELD, cancel_requested()), c.RecordRejected, {}),
    "in doubt; a fill is reported": ((*HELD, doubted()), c.RecordExecution, FILL),
    "reported as filled in part; the call times out": ((*HELD, executed("F1", 4)), c.RecordSubmitInDoubt, {}),
    "a cancel is pending; a partial fill": (PENDING_CANCEL, c.RecordExecution, FILL),
    "a cancel is pending; the fill that completes": (PENDING_CANCEL, c.RecordExecution, DONE),
    "a cancel is pending; the exchange refuses it": (PENDING_CANCEL, c.RecordCancelRejected, CANCEL),
    "a replace is pending; a partial fill": (PENDING_REPLACE, c.RecordExecution, FILL),
    "a replace to more is pending; the old total is filled, nothing is left": (
        PENDING_REPLACE,
        c.RecordExecution,
        DONE,
    ),
    "a replace to more is pending; the old total is filled, something is left": (
        PENDING_REPLACE,
        c.RecordExecution,
        {**DONE, "leaves": 10},
    ),
    "a replace to more is pending; the new total is filled": (
        PENDING_REPLACE,
        c.RecordExecution,
        {**DONE, "quantity": 20},
    ),
    "a replace to more was told as too late; the exchange carried it out": (
        (*PENDING_REPLACE, executed("F1", 10, leaves=0), replace_rejected(TOO_LATE)),
        c.RecordReplaced,
        REPLACE,
    ),
    "a replace to what is filled": (
        (*WORKING, executed("F1", 4), replace_requested(4)),
        c.RecordReplaced,
        {**REPLACE, "quantity": 4},
    ),
    "canceled; a late fill of a part": ((*WORKING, canceled()), c.RecordExecution, FILL),
    "canceled; late fills complete it": ((*WORKING, canceled()), c.RecordExecution, DONE),
    "canceled before it was sent; the exchange has it": (NEVER_SENT, c.RecordAccepted, {}),
    "filled; a fill more": ((*WORKING, executed("F1", 10)), c.RecordExecution, FILL),
    "filled; the exchange says that it was canceled": ((*WORKING, executed("F1", 10)), c.RecordCanceled, {}),
    "canceled though full; a fill is busted": (
        (*WORKING, executed("F1", 10), canceled()),
        c.RecordBust,
        {"ref_exec_id": "F1"},
    ),
    "filled; a fill is busted": ((*WORKING, executed("F1", 10)), c.RecordBust, {"ref_exec_id": "F1"}),
    "a bust comes before its fill": ((*WORKING, busted("F2")), c.RecordExecution, DONE),
    "at the exchange by a fill; its answer brings its own id of the order": (
        (*HELD, executed("F1", 4)),
        c.RecordAccepted,
        {},
    ),
    "the same fill is reported again": ((*WORKING, executed("F2", 4)), c.RecordExecution, FILL),
    "a day order is not sent by the end of its day": (
        (placed(time_in_force=TimeInForce.DAY),),
        c.ExpireUnsent,
        {},
    ),
}


def table(heading: str) -> list[list[str]]:
    """The cells of the table under the heading, without its head and without code marks."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def happens(history: tuple[OrderEvent, ...], kind: type[c.Command], fields: Mapping[str, object]) -> list[OrderEvent]:
    asked = given(*history).when(kind, **fields)
    return decide(asked.order, asked.command, asked.rules)


def answer(history: tuple[OrderEvent, ...], kind: type[c.Command]) -> str:
    try:
        last = happens(history, kind, {})[-1]
    except Refusal as refusal:
        return str(PROBLEMS[type(refusal)][0])
    waits = isinstance(last, e.CancelRequested | e.ReplaceRequested)
    return f"{'waits' if waits else '200'}, {last.after.ord_status}"


def test_it_lists_the_statuses_by_precedence_with_the_one_for_everyone() -> None:
    shown = [(ord_status, simple) for ord_status, _, simple, _ in table("Statuses")]
    assert shown == [(one.value, SIMPLE.get(one, "Placed")) for one in OrdStatus]


def test_it_lists_every_delivery_and_every_evidence() -> None:
    assert [name for name, _ in table("Delivery")] == [one.value for one in Delivery]
    assert [name for name, _ in table("Evidence")] == [one.value for one in Evidence]


def test_it_knows_what_a_cancel_and_a_replace_do_in_every_state() -> None:
    shown = {state: told for state, *told in table("What DELETE and PUT do")}
    assert shown.keys() == STATES.keys()
    for state, history in STATES.items():
        order = fold(ORDER_ID, history)
        assert order is not None
        seen = view(order)
        expected = [seen.ord_status, seen.delivery, answer(history, c.CancelOrder), answer(history, c.ReplaceOrder)]
        assert shown[state] == expected, state


def test_it_lists_every_race_that_is_tried() -> None:
    assert [race for race, *_ in table("Races")] == list(RACES)


@pytest.mark.parametrize("race", RACES)
def test_a_race_ends_as_it_says(race: str) -> None:
    ((recorded, then),) = [told for name, *told in table("Races") if name == race]
    history, kind, fields = RACES[race]
    events = happens(history, kind, fields)
    order = fold(ORDER_ID, events, fold(ORDER_ID, history))
    assert order is not None
    assert recorded == (", ".join(map(event_name, events)) or "nothing")
    assert then == f"{order.ord_status}, {order.filled} of {order.quantity}"


def test_it_lists_every_matrix_of_the_fix_appendix() -> None:
    assert table("FIX 4.4 appendix D") == appendix()


def appendix() -> list[list[str]]:
    main: dict[str, Row] = {}
    for row in ROWS:
        main.setdefault(row.ref, row)
    told = {ref: [row.title, f"differs: {row.differs}" if row.differs else "as there"] for ref, row in main.items()}
    for ref, reason in DOES_NOT_APPLY.items():
        title, why = reason.split(": ", 1)
        told[ref] = [title, f"does not apply: {why}"]
    return [[_fix_44(ref), ref.split("-")[0] if "-" in ref else "", *told[ref]] for ref in sorted(told, key=_fix_44)]


def _fix_44(ref: str) -> str:
    return ref.split("-")[-1]
