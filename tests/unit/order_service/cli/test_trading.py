"""place, show, list, cancel, replace: what is asked of the API, what is shown, and the exit codes."""

import json
from typing import Any

import pytest

from order_service.cli import client
from tests.support.scripted_api import SILENT, ScriptedApi
from tests.unit.order_service.cli.conftest import Run

ID = "01a1fbfe-4cc7-7491-91f9-8c9b96e69439"
ORDER = {"id": ID, "order_id": ID, "symbol": "EURUSD", "side": "buy", "quantity": 10, "status": "Placed"}


def problem(detail: str, *errors: tuple[str, str]) -> dict[str, Any]:
    return {"detail": detail, "errors": [{"field": field, "message": message} for field, message in errors]}


def test_an_order_is_placed_with_the_terms_that_were_given(run: Run, api: ScriptedApi) -> None:
    api.answers(201, ORDER)
    command = ("place", "EURUSD", "10", "--side", "sell", "--limit", "1.10", "--tif", "day", "--key", "k-1")
    done = run(*command, BASE_URL=api.url)
    assert (done.exit_code, done.stderr) == (0, "")
    terms = {"quantity": 10, "side": "sell", "limit_price": "1.10", "time_in_force": "day", "client_order_id": "k-1"}
    assert api.asked == [("POST", "/orders", {**terms, "symbol": "EURUSD"})]


def test_an_instrument_code_is_sent_as_one(run: Run, api: ScriptedApi) -> None:
    api.answers(201, ORDER)
    run("place", "DE0001234567", "1", "--instrument", BASE_URL=api.url)
    assert api.asked[0][2] == {"quantity": 1, "side": "buy", "time_in_force": "gtc", "instrument": "DE0001234567"}


def test_a_key_that_was_used_before_is_said_on_stderr(run: Run, api: ScriptedApi) -> None:
    api.answers(200, ORDER, Idempotent_Replayed="true")
    done = run("place", "EURUSD", "10", "--key", "k", "--json", BASE_URL=api.url)
    assert "used before" in done.stderr
    assert json.loads(done.stdout) == ORDER


def test_fields_are_tab_separated_where_nobody_looks_at_a_terminal(run: Run, api: ScriptedApi) -> None:
    api.answers(200, ORDER)
    done = run("show", ID, BASE_URL=api.url)
    assert done.stdout == f"order_id\t{ID}\nsymbol\tEURUSD\nside\tbuy\nquantity\t10\nstatus\tPlaced\n"


@pytest.mark.parametrize("command", [("cancel", ID), ("replace", ID, "--quantity", "12")])
def test_what_the_exchange_has_not_answered_yet_is_said_in_words(
    run: Run, api: ScriptedApi, command: list[str]
) -> None:
    api.answers(202, ORDER)
    done = run(*command, "--json", BASE_URL=api.url)
    assert done.exit_code == 0
    assert done.stderr.startswith("pending: the exchange has not answered yet")
    assert json.loads(done.stdout) == ORDER


def test_an_answer_of_the_exchange_is_no_pending_one(run: Run, api: ScriptedApi) -> None:
    api.answers(200, ORDER)
    done = run("replace", ID, "--quantity", "12", "--limit", "1.2", BASE_URL=api.url)
    assert done.stderr == ""
    assert api.asked == [("PUT", f"/orders/{ID}", {"quantity": 12, "limit_price": "1.2"})]


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (400, problem("Order with ID: x has already been executed"), 1, "Order with ID: x has already been executed"),
        (404, problem("Order with ID: x does not exist"), 3, "Order with ID: x does not exist"),
        (409, problem("A cancel is pending"), 4, "A cancel is pending"),
        (422, problem("wrong", ("quantity", "Quantity must be greater than zero")), 2, "Quantity must be greater than"),
        (422, problem("wrong", ("limit_price", "must be on the tick")), 2, "limit_price: must be on the tick"),
        (422, problem("wrong", ("side", "no"), ("type", "no")), 2, "side: no; type: no"),
        (503, problem("The query tables are behind"), 5, "The query tables are behind"),
        (502, "<html>", 5, "answered 502"),
        (200, "<html>", 5, "not as an order service does"),
        (200, [], 5, "not as an order service does"),
    ],
)
def test_every_kind_of_refusal_has_its_exit_code_and_its_words(
    run: Run, api: ScriptedApi, status: int, body: object, code: int, said: str
) -> None:
    api.answers(status, body)
    done = run("cancel", ID, BASE_URL=api.url)
    assert done.exit_code == code
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_placing_that_failed_in_doubt_says_where_to_look(run: Run, api: ScriptedApi) -> None:
    api.answers(500, {"message": "Internal server error while placing the order"}, Location=f"/orders/{ID}")
    done = run("place", "EURUSD", "10", BASE_URL=api.url)
    assert done.exit_code == 5
    assert (
        f"Internal server error while placing the order. It may exist nevertheless: `orders show {ID}`" in done.stderr
    )


def test_nobody_at_the_address_is_exit_code_5(run: Run) -> None:
    done = run("list", BASE_URL="http://127.0.0.1:1")
    assert done.exit_code == 5
    assert done.stderr.startswith("error: no answer from http://127.0.0.1:1")
    assert "orders up" in done.stderr


def test_an_answer_that_takes_too_long_says_that_it_may_have_been_done(
    run: Run, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CLIENT_TIMEOUT_S", 0.1)
    api.answers(201, SILENT)
    done = run("place", "EURUSD", "10", BASE_URL=api.url)
    assert done.exit_code == 5
    assert "within 0.1 s" in done.stderr
    assert "may have been done" in done.stderr


@pytest.mark.parametrize("command", [("show",), ("cancel",), ("explain",), ("parked", "retry", "--reason", "r")])
@pytest.mark.parametrize("given", ["", "..", "a/b", "1", f"{ID}x", f"{ID}?x=1", f"{ID}/events"])
def test_what_is_no_id_is_not_found_and_never_asked_for(
    run: Run, api: ScriptedApi, command: tuple[str, ...], given: str
) -> None:
    done = run(*command, given, BASE_URL=api.url)
    assert done.exit_code == 3
    assert done.stderr == f"error: Order with ID: {given} does not exist\n"
    assert api.asked == []


@pytest.mark.parametrize("quantity", ["-5", "-15", "-1.5"])
def test_a_negative_quantity_is_not_taken_for_an_option(run: Run, quantity: str) -> None:
    done = run("place", "EURUSD", quantity)
    assert done.exit_code == 2
    assert "a number below zero is no quantity" in done.stderr
    assert "--side sell" in done.stderr


def test_an_option_that_does_not_exist_is_still_said_so(run: Run) -> None:
    done = run("place", "EURUSD", "5", "--limt", "1")
    assert done.exit_code == 2
    assert "No such option '--limt'" in done.stderr


def test_a_negative_price_goes_to_the_api_which_refuses_it(run: Run, api: ScriptedApi) -> None:
    api.answers(422, problem("wrong", ("limit_price", "Limit price must be greater than zero")))
    done = run("place", "EURUSD", "5", "--limit", "-1.1", BASE_URL=api.url)
    assert api.asked[0][2]["limit_price"] == "-1.1"
    assert (done.exit_code, done.stderr) == (2, "error: Limit price must be greater than zero\n")


def test_a_replace_of_nothing_is_wrong_use(run: Run) -> None:
    done = run("replace", ID)
    assert done.exit_code == 2
    assert "give --quantity or --limit" in done.stderr


def test_every_filter_of_the_contract_reaches_the_api(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [ORDER])
    times = ("--after", "2026-11-21T09:30:00Z", "--before", "2026-11-22T00:00:00Z")
    filters = ("--status", "executed", "--symbol", "EURUSD", "--side", "sell", "--key", "k", *times, "--limit", "7")
    done = run("list", *filters, BASE_URL=api.url)
    assert done.exit_code == 0
    assert api.asked[0][1] == (
        "/orders?status=Executed&symbol=EURUSD&side=sell&client_order_id=k"
        "&placed_after=2026-11-21T09%3A30%3A00Z&placed_before=2026-11-22T00%3A00%3A00Z&limit=7"
    )
    header, line = done.stdout.splitlines()
    assert header.split("\t")[:3] == ["order_id", "symbol", "side"]
    assert line.split("\t")[:3] == [ID, "EURUSD", "buy"]
    assert header.count("\t") == line.count("\t")


def test_a_list_as_json_is_one_array(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [ORDER, ORDER])
    done = run("list", "--json", BASE_URL=api.url)
    assert json.loads(done.stdout) == [ORDER, ORDER]
    assert api.asked[0][1] == "/orders?limit=50"


def test_all_follows_the_cursors_and_prints_json_lines(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [ORDER, ORDER], Link='</orders?side=buy&cursor=abc%3D>; rel="next"').answers(200, [ORDER])
    done = run("list", "--all", "--json", "--side", "buy", BASE_URL=api.url)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [ORDER] * 3
    assert [path for _, path, _ in api.asked] == ["/orders?side=buy", "/orders?side=buy&cursor=abc%3D"]


def test_all_as_lines_has_one_header(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [ORDER], Link='</orders?cursor=a>; rel="next"').answers(200, [ORDER])
    done = run("list", "--all", BASE_URL=api.url)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["order_id", ID, ID]


def test_a_cursor_never_leads_to_another_host(run: Run, api: ScriptedApi) -> None:
    api.answers(200, [], Link='<http://127.0.0.1:1/orders?cursor=a>; rel="next"').answers(200, [ORDER])
    done = run("list", "--all", "--json", BASE_URL=api.url)
    assert done.exit_code == 0
    assert len(api.asked) == 2


def test_all_and_a_limit_exclude_each_other(run: Run) -> None:
    assert run("list", "--all", "--limit", "3").exit_code == 2


def test_an_order_and_a_list_are_shown_as_they_were(run: Run, api: ScriptedApi) -> None:
    api.answers(200, ORDER).answers(200, ORDER).answers(200, [ORDER])
    assert run("show", ID, "--as-of", "7", BASE_URL=api.url).exit_code == 0
    assert run("show", ID, "--as-of", "2026-11-21T09:30:00+01:00", BASE_URL=api.url).exit_code == 0
    assert run("list", "--as-of", "7", "--status", "placed", BASE_URL=api.url).exit_code == 0
    assert [path for _, path, _ in api.asked] == [
        f"/orders/{ID}?as_of=7",
        f"/orders/{ID}?as_of=2026-11-21T09%3A30%3A00%2B01%3A00",
        "/orders?as_of=7&status=Placed&limit=50",
    ]
