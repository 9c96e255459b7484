"""`orders show ID --history`: every event on a line, with who, why, by what proof, and what it changed."""

import json
from typing import Any

import pytest

from order_service.cli import history, output
from tests.support.scripted_api import ScriptedApi
from tests.unit.order_service.cli.conftest import Run

ID = "01a1fbfe-4cc7-7491-91f9-8c9b96e69439"
PLACED: dict[str, Any] = {
    "position": 5,
    "version": 1,
    "event": "OrderPlaced",
    "at": "2026-11-21T09:30:00.123Z",
    "by": "client:local",
    "evidence": None,
    "reason": None,
    "status": "Placed",
    "ord_status": "PendingNew",
    "fields": {},
    "changed": {"quantity": {"before": None, "after": 10}},
}
CANCELED: dict[str, Any] = {
    **PLACED,
    "position": 9,
    "version": 2,
    "event": "OrderCanceled",
    "evidence": "never_placed",
    "reason": "line one\nline two",
    "status": "Canceled",
    "ord_status": "Canceled",
    "fields": {"request_id": "r-1", "other": None},
    "changed": {
        "status": {"before": "Placed", "after": "Canceled"},
        "limit_price": {"before": "1.1", "after": None},
    },
}


def test_a_history_is_lines_with_one_header_over_all_pages(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [PLACED], Link=f'</orders/{ID}/events?cursor=a>; rel="next"').answers(200, [CANCELED])
    done = run("show", ID, "--history", BASE_URL=api.url)
    assert done.exit_code == 0
    header, placed, canceled = (line.split("\t") for line in done.stdout.splitlines())
    assert header == list(history._COLUMNS)
    assert placed[:5] == ["5", "1", "2026-11-21T09:30:00.123Z", "OrderPlaced", "client:local"]
    assert placed[-1] == "quantity 10"
    assert canceled[5:] == [
        "never_placed",
        "line one line two",
        "Canceled",
        "Canceled",
        "request_id r-1",
        "status Placed > Canceled; limit_price 1.1 > -",
    ]


def test_a_history_as_json_is_lines_of_all_that_is_known(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [PLACED, CANCELED])
    done = run("show", ID, "--history", "--as-of", "9", "--json", BASE_URL=api.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [PLACED, CANCELED]
    assert api.asked[0][1] == f"/orders/{ID}/events?as_of=9"


def test_on_a_terminal_a_history_is_a_table(run: Run, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setattr(history, "on_terminal", lambda: True)
    api.answers(200, [PLACED, CANCELED])
    done = run("show", ID, "--history", BASE_URL=api.url, COLUMNS="200", NO_COLOR="1")
    header, placed, canceled = done.stdout.splitlines()
    assert header.split() == ["position", "at", "event", "by", "evidence", "what", "why"]
    assert "2026-11-21T09:30:00 " in placed
    assert "request_id r-1; status Placed > Canceled; limit_price 1.1 > -" in canceled
    assert "\x1b" not in done.stdout
