"""`orders explain ID`: what happened, by what proof, what the order waits for, what can be done. The texts that people
reads stand in `explained/`, one a story."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from order_service.cli.life_words import _WORDS
from orders.domain import commands as c
from orders.domain import events as e
from orders.domain.instruments import BUILT_IN
from orders.domain.values import Evidence, OrderType
from projections.history import history_event, shown
from tests.support.order_lives import (
    CLIENT,
    FIRST_POSITION,
    ID,
    OPERATOR,
    Life,
    accepted,
    at_exchange,
    filled,
    in_doubt,
    parked,
    sent,
)
from tests.support.scripted_api import ScriptedApi
from tests.unit.order_service.cli.conftest import Run

EXPLAINED = Path(__file__).parent / "explained"


NOT_THERE = {"detail": f"Order with ID: {ID} does not exist"}


def replaced() -> Life:
    limited = at_exchange(type=OrderType.LIMIT, limit_price=Decimal("1.1"))
    asked = limited.then(60, c.ReplaceOrder, CLIENT, quantity=20, limit_price=Decimal("1.2"))
    return asked.then(0.1, c.RecordReplaced, quantity=20, limit_price=Decimal("1.2"))


def busted_and_corrected() -> Life:
    busted = filled().then(86_400, c.RecordBust, exec_id="b1", ref_exec_id="e1")
    again = busted.then(1, c.RecordExecution, exec_id="e2", quantity=4, price=Decimal("1.08"), leaves=6)
    return again.then(1, c.RecordCorrection, exec_id="c1", ref_exec_id="e2", quantity=5, price=Decimal("1.081"))


def settled_by_a_person() -> Life:
    return in_doubt().then(300, c.ResolveDoubt, OPERATOR, placed=True, reason="the desk read it to me")


def never_sent() -> Life:
    return accepted().then(2, c.CancelOrder, CLIENT)


def rejected() -> Life:
    return sent().then(0.3, c.RecordRejected, attempt=1, reason="no such market")


def expired() -> Life:
    return at_exchange().then(60, c.RecordExpired, reason="end of day", evidence=Evidence.VENUE_REPORT)


STORIES: dict[str, Callable[[], Life]] = {
    "accepted": accepted,
    "being_sent": sent,
    "failed_once": lambda: sent().then(0.5, c.RecordSubmitFailed, attempts=(1,), reason="connection not available"),
    "at_the_exchange": at_exchange,
    "executed": filled,
    "in_doubt": in_doubt,
    "in_doubt_with_a_held_cancel": lambda: in_doubt().then(1, c.CancelOrder, CLIENT),
    "in_doubt_with_a_held_change": lambda: in_doubt().then(1, c.ReplaceOrder, CLIENT, quantity=20),
    "cancel_asked": lambda: at_exchange().then(1, c.CancelOrder, CLIENT),
    "change_asked": lambda: at_exchange().then(1, c.ReplaceOrder, CLIENT, quantity=20),
    "parked": parked,
    "resumed": lambda: parked().then(60, c.ResumePlacement, OPERATOR, reason="the exchange is back"),
    "replaced": replaced,
    "busted_and_corrected": busted_and_corrected,
    "settled_by_a_person": settled_by_a_person,
    "canceled_unsent": never_sent,
    "rejected": rejected,
    "expired": expired,
    "unwanted": lambda: never_sent().then(5, c.RecordAccepted, venue_order_id="V-7", evidence=Evidence.VENUE_REPORT),
}


def answer_for(api: ScriptedApi, life: Life, held: list[dict[str, Any]] | None = None) -> None:
    """What the API says of the order, in two pages; then what operators see, where that is asked."""
    events = life.recorded
    history = [
        msgspec.to_builtins(history_event(one, before, BUILT_IN))
        for one, before in zip(events, [None, *events], strict=False)
    ]
    api.answers(200, msgspec.to_builtins(shown(events[-1], BUILT_IN)))
    api.answers(200, history[:1], Link=f'</orders/{ID}/events?cursor=a>; rel="next"').answers(200, history[1:])
    api.answers(200, held or []) if held is not None else api.answers(403, {"detail": "This key may not"})


@pytest.mark.parametrize("story", STORIES)
def test_a_life_is_told_in_plain_words(run: Run, api: ScriptedApi, story: str) -> None:
    answer_for(api, STORIES[story]())
    done = run("explain", str(ID), BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (EXPLAINED / f"{story}.txt").read_text(encoding="utf-8")


def test_a_reason_of_the_exchange_clears_no_screen(run: Run, api: ScriptedApi) -> None:
    answer_for(api, sent().then(0.3, c.RecordRejected, attempt=1, reason="no\x1b[2Jall is well"))
    done = run("explain", str(ID), BASE_URL=api.url)
    assert r"no\x1b[2Jall is well" in done.stdout
    assert "\x1b" not in done.stdout


def test_what_the_api_refuses_with_is_one_line(run: Run, api: ScriptedApi) -> None:
    api.answers(404, {"detail": "no\x1b[2J\nall is well"}).answers(404, {"detail": "no\x1b[2J\nall is well"})
    assert run("explain", str(ID), BASE_URL=api.url).stderr == "error: no\\x1b[2J\\nall is well\n"


def test_no_text_is_of_a_story_that_is_not_told() -> None:
    assert {path.stem for path in EXPLAINED.iterdir()} == set(STORIES)


def test_who_may_see_what_operators_see_is_told_whether_a_person_is_needed(run: Run, api: ScriptedApi) -> None:
    answer_for(api, in_doubt(), [{"needs_person": True, "not_placed_from": "2026-11-02T09:30:22Z"}])
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert told["waiting_for"] == "certainty about attempt 1: a person has to ask the exchange, and to say it"
    assert told["can_do"][1].endswith("(counts from 2026-11-02T09:30:22Z)")
    assert api.asked[-1][1] == f"/ops/parked?order_id={ID}"


def test_an_order_that_the_adapter_settles_itself_is_said_to_be_so(run: Run, api: ScriptedApi) -> None:
    answer_for(api, in_doubt(), [{"needs_person": False, "not_placed_from": None}])
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert told["waiting_for"] == "certainty about attempt 1: the adapter finds out by itself"


def test_json_has_each_step_with_its_attempt_and_proof(run: Run, api: ScriptedApi) -> None:
    answer_for(api, at_exchange())
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert (told["order_id"], told["attempts"], told["attempts_in_doubt"]) == (str(ID), 1, [])
    assert [(one["position"], one["event"], one["after_s"], one["attempt"], one["proof"]) for one in told["steps"]] == [
        (FIRST_POSITION, "OrderPlaced", 0, None, None),
        (FIRST_POSITION + 1, "SubmitStarted", 0.004, 1, None),
        (FIRST_POSITION + 2, "OrderAccepted", 0.51, None, "the exchange's answer"),
    ]


def test_every_event_of_an_order_has_words() -> None:
    assert set(_WORDS) == {kind.__name__ for kind in e.OrderEvent.__subclasses__()}


def test_an_operator_is_told_of_an_order_of_any_account_and_whose_key_may_cancel_it(run: Run, api: ScriptedApi) -> None:
    api.answers(404, NOT_THERE)
    answer_for(api, at_exchange())
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert [path.partition("?")[0] for _, path, _ in api.asked[:3]] == [
        f"/orders/{ID}",
        f"/ops/orders/{ID}",
        f"/ops/orders/{ID}/events",
    ]
    assert told["can_do"] == [f"orders cancel {ID} (with a key of its account, where the exchange can cancel)"]


@pytest.mark.parametrize(
    "end",
    [
        lambda: in_doubt().then(1, c.RecordExpired, reason="end of day", evidence=Evidence.VENUE_REPORT),
        lambda: in_doubt().then(1, c.RecordCanceled, reason="by the exchange", evidence=Evidence.VENUE_REPORT),
        lambda: in_doubt().then(1, c.RecordRejected, attempt=1, reason="no"),
        lambda: in_doubt().then(1, c.CancelOrder, CLIENT).then(1, c.ResolveDoubt, OPERATOR, placed=False, reason="no"),
        lambda: in_doubt().then(1, c.CancelOrder, CLIENT).then(1, c.RecordSubmitFailed, attempts=(1,), reason="no"),
        lambda: in_doubt().then(1, c.RecordExecution, exec_id="e", quantity=10, price=Decimal("1.08"), leaves=0),
    ],
)
def test_no_attempt_is_in_doubt_of_an_order_that_has_ended(run: Run, api: ScriptedApi, end: Callable[[], Life]) -> None:
    answer_for(api, end())
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert (told["attempts_in_doubt"], told["waiting_for"]) == ([], None)


def test_an_attempt_that_was_never_sent_is_no_failure(run: Run, api: ScriptedApi) -> None:
    answer_for(api, sent().then(0.5, c.RecordSubmitFailed, attempts=(1,), reason="d", evidence=Evidence.NEVER_SENT))
    told = json.loads(run("explain", str(ID), "--json", BASE_URL=api.url).stdout)
    assert told["waiting_for"].startswith("an adapter to send it")


@pytest.mark.parametrize(
    ("answers", "code", "says"),
    [
        ([(404, "Not yours"), (404, "Nobody's")], 3, "Nobody's"),
        ([(404, "Not yours"), (403, "No operator")], 3, "Not yours"),
        ([(403, "May not read"), (403, "No operator")], 1, "May not read"),
        ([(503, "Not now")], 5, "Not now"),
    ],
)
def test_what_cannot_be_explained_ends_with_the_contracts_code(
    run: Run, api: ScriptedApi, answers: list[tuple[int, str]], code: int, says: str
) -> None:
    for status, detail in answers:
        api.answers(status, {"detail": detail})
    done = run("explain", str(ID), BASE_URL=api.url)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(api.asked) == len(answers)
