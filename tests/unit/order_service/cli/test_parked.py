"""parked, workers, alerts: what is asked of the API, what is shown, and the exit codes."""

import json
from typing import Any

import pytest

from tests.support.scripted_api import ScriptedApi
from tests.unit.order_service.cli.conftest import Run

ID = "01a1fbfe-4cc7-7491-91f9-8c9b96e69439"
OTHER = "01a1fbfe-4cc7-7491-91f9-8c9b96e69440"
HELD: dict[str, Any] = {
    "order_id": ID,
    "delivery": "in_doubt",
    "symbol": "EURUSD",
    "side": "buy",
    "quantity": 10,
    "attempts_in_doubt": [1, 2],
    "pending": ["cancel"],
    "needs_person": False,
    "can": ["resolve"],
    "worker": "host/1/abc",
    "worker_alive": False,
}


def answer(*results: tuple[str, str], cursor: str | None = None, as_of: int = 7, skipped: int = 0) -> dict[str, Any]:
    shown = [{"order_id": order_id, "result": result} for order_id, result in results]
    return {"results": shown, "as_of": as_of, "skipped": skipped, "more": cursor is not None, "cursor": cursor}


def test_the_list_is_asked_with_its_filters_and_tab_separated_without_a_terminal(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [HELD])
    done = run("parked", "list", "--worker", "w", "--delivery", "in_doubt", "--symbol", "EURUSD", BASE_URL=api.url)
    assert api.asked == [("GET", "/ops/parked?worker=w&delivery=in_doubt&symbol=EURUSD&limit=100", None)]
    names, values = (line.split("\t") for line in done.stdout.splitlines())
    shown = dict(zip(names, values, strict=True))
    assert (shown["order_id"], shown["attempts_in_doubt"], shown["worker_alive"]) == (ID, "1,2", "no")
    assert shown["needs_person"] == "no"


def test_a_list_that_has_more_says_so(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [HELD], Link='</ops/parked?cursor=c>; rel="next"')
    done = run("parked", "list", "--limit", "1", "--json", BASE_URL=api.url)
    assert json.loads(done.stdout) == [HELD]
    assert done.stderr == "there are more: --all lists them\n"


def test_all_follows_the_pages(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [HELD], Link='</ops/parked?cursor=c>; rel="next"').answers(200, [HELD])
    done = run("parked", "list", "--all", "--json", BASE_URL=api.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [HELD, HELD]
    assert api.asked[1][1] == "/ops/parked?cursor=c"


def test_one_order_is_retried_by_its_own_route(run: Run, api: ScriptedApi) -> None:
    api.answers(200, {"order_id": ID, "result": "retried"})
    done = run("parked", "retry", ID, "--reason", "mended", BASE_URL=api.url)
    assert (done.exit_code, done.stdout) == (0, f"order_id\tresult\treason\n{ID}\tretried\t\n")
    assert api.asked == [("POST", f"/ops/parked/{ID}/retry", {"reason": "mended", "dry_run": False})]


@pytest.mark.parametrize(("flag", "outcome"), [("--placed", "placed"), ("--not-placed", "not_placed")])
def test_resolve_says_what_became_of_it(run: Run, api: ScriptedApi, flag: str, outcome: str) -> None:
    api.answers(200, {"order_id": ID, "result": "resolved"})
    run("parked", "resolve", ID, flag, "--reason", "r", BASE_URL=api.url)
    assert api.asked[0][2] == {"outcome": outcome, "reason": "r", "dry_run": False}


@pytest.mark.parametrize(("status", "code"), [(404, 3), (409, 4), (422, 2), (503, 5)])
def test_one_order_that_is_refused_ends_with_its_exit_code(run: Run, api: ScriptedApi, status: int, code: int) -> None:
    api.answers(status, {"detail": "not so"})
    done = run("parked", "retry", ID, "--reason", "r", BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (code, "error: not so\n")


def test_what_is_no_id_is_asked_of_nobody(run: Run, api: ScriptedApi) -> None:
    done = run("parked", "retry", "../x", "--reason", "r", BASE_URL=api.url)
    assert (done.exit_code, api.asked) == (3, [])


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (((ID, "retried"), (OTHER, "retried")), 0),
        (((ID, "retried"), (OTHER, "refused")), 1),
        (((ID, "retried"), (OTHER, "unknown")), 1),
        (((ID, "retried"), (OTHER, "failed")), 5),
        (((ID, "refused"), (OTHER, "failed")), 5),
        (((ID, "unknown"), (OTHER, "unknown")), 3),
    ],
)
def test_several_orders_end_well_only_if_all_did(
    run: Run, api: ScriptedApi, results: tuple[tuple[str, str], ...], code: int
) -> None:
    api.answers(200, answer(*results))
    done = run("parked", "retry", ID, OTHER, "--reason", "r", BASE_URL=api.url)
    assert done.exit_code == code
    assert api.asked == [("POST", "/ops/parked/retry", {"reason": "r", "dry_run": False, "order_ids": [ID, OTHER]})]


def test_all_goes_on_while_there_are_more(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer((ID, "resolved"), cursor="c", as_of=5)).answers(200, answer((OTHER, "resolved"), as_of=5))
    done = run("parked", "resolve", "--all", "--placed", "--reason", "r", "--yes", "--json", BASE_URL=api.url)
    assert [one["order_id"] for one in json.loads(done.stdout)] == [ID, OTHER]
    assert done.stderr == "2 resolved\n"
    body = {"outcome": "placed", "reason": "r", "dry_run": False, "all": True}
    assert [asked[2] for asked in api.asked] == [body, {**body, "cursor": "c", "until": 5}]


def test_a_dry_run_says_how_to_do_it_to_the_same_orders(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer((ID, "would be retried"), as_of=5)).answers(200, answer((ID, "retried"), as_of=5))
    done = run("parked", "retry", "--all", "--reason", "r", "--dry-run", BASE_URL=api.url)
    assert done.stderr == "1 would be retried\n--until 5 keeps to these\n"
    done = run("parked", "retry", "--all", "--reason", "r", "--yes", "--until", "5", BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (0, "1 retried\n")
    assert api.asked[1][2] == {"reason": "r", "dry_run": False, "all": True, "until": 5}


def test_what_is_left_out_is_counted_over_the_pages(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer(cursor="c", skipped=2)).answers(200, answer(skipped=1))
    done = run("parked", "resolve", "--all", "--placed", "--reason", "r", "--yes", BASE_URL=api.url)
    assert done.exit_code == 0
    assert (
        done.stderr == "there are none\n3 left out: the service goes on with them by itself; to settle one, name it\n"
    )


def test_a_worker_that_has_no_such_order_may_be_misspelled(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer())
    done = run("parked", "resolve", "--worker", "w", "--placed", "--reason", "r", "--yes", BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (3, "there are none\n")


def test_a_worker_that_lives_is_a_conflict(run: Run, api: ScriptedApi) -> None:
    api.answers(409, {"detail": "Worker w lives"})
    done = run("parked", "resolve", "--worker", "w", "--placed", "--reason", "r", "--yes", BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (4, "error: Worker w lives\n")


def test_what_was_done_before_the_service_went_away_is_shown(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer((ID, "resolved"), cursor="c")).answers(503, {"detail": "going down"})
    done = run("parked", "resolve", "--worker", "w", "--placed", "--reason", "r", "--yes", BASE_URL=api.url)
    assert (done.exit_code, f"{ID}\tresolved" in done.stdout) == (5, True)


@pytest.mark.parametrize("chosen", [("--all",), ("--worker", "w")])
def test_many_are_changed_only_after_a_yes(run: Run, api: ScriptedApi, chosen: tuple[str, ...]) -> None:
    done = run("parked", "retry", *chosen, "--reason", "r", BASE_URL=api.url)
    assert (done.exit_code, api.asked) == (2, [])
    assert "give --yes, or --dry-run to see which" in done.stderr


def test_a_dry_run_needs_no_yes(run: Run, api: ScriptedApi) -> None:
    api.answers(200, answer((ID, "would be retried")))
    done = run("parked", "retry", "--all", "--reason", "r", "--dry-run", BASE_URL=api.url)
    assert (done.exit_code, api.asked[0][2]["dry_run"]) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("retry", "--reason", "r"),
        ("retry", ID, "--all", "--reason", "r"),
        ("retry", ID),
        ("retry", ID, "--until", "5", "--reason", "r"),
        ("retry", "--all", "--until", "-1", "--reason", "r", "--yes"),
        ("resolve", ID, "--reason", "r"),
        ("list", "--all", "--limit", "5"),
        ("list", "--limit", "1001"),
    ],
)
def test_wrong_use_is_said_before_anything_is_asked(run: Run, api: ScriptedApi, wrong: tuple[str, ...]) -> None:
    assert run("parked", *wrong, BASE_URL=api.url).exit_code == 2
    assert api.asked == []


def test_workers_and_alerts_are_listed(run: Run, api: ScriptedApi) -> None:
    worker = {"worker": "w", "alive": True, "age_s": 0.4, "shards": [1, 2], "figures": {"calls_running": 3}}
    api.answers(200, [worker])
    lines = [line.split("\t") for line in run("workers", BASE_URL=api.url).stdout.splitlines()]
    shown = dict(zip(*lines, strict=True))
    assert (shown["alive"], shown["shards"], shown["calls_running"]) == ("yes", "2", "3")
    alert = {"kind": "order_held", "alerts": 4, "examples": [{"key": ID, "detail": "in doubt"}]}
    api.answers(200, [alert]).answers(200, [alert])
    assert run("alerts", BASE_URL=api.url).stdout.splitlines()[1].split("\t")[-1] == f"{ID}: in doubt"
    assert json.loads(run("alerts", "--json", BASE_URL=api.url).stdout) == [alert]
