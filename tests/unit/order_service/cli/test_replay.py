"""replay: what it says and how it ends; what it does to the tables is tested with the rebuild."""

import json
import os
from typing import Any

import psycopg
import pytest

from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections.order_status import ORDER_STATUS
from projections.rebuild import rebuilding
from projections.registry import PROJECTIONS
from projections.swap import kept_of
from projections.trades import TRADES
from tests.support.rebuilds import change, checkpoint_of, follow, replay, schemas_of
from tests.unit.order_service.cli.conftest import Run

ONE = ("replay", "--projection", "order_status")
BOTH = ("--projection", "order_status", "--projection", "trades")


@pytest.fixture
def all_followed(database_url: str, three_orders: PostgresEventStore) -> PostgresEventStore:
    for projection in PROJECTIONS:
        follow(database_url, projection, three_orders)
    return three_orders


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_it_rebuilds_every_projection_and_says_what_came_of_it(
    run: Run, database_url: str, all_followed: PostgresEventStore
) -> None:
    done = run("replay", DATABASE_URL=database_url)
    assert done.exit_code == 0, done.output
    for projection in PROJECTIONS:
        assert f"{projection.name}: live at position 3, generation 2 (3 events in " in done.stdout
        assert f"back with `orders replay --rollback --projection {projection.name}`" in done.stdout
        assert f"{projection.name}: comparing, at position 3 of 3" in done.stderr
    assert done.stdout.count("equal to the tables before, at position 3; digest ") == len(PROJECTIONS)


def test_with_json_progress_on_stderr_and_result_on_stdout_are_lines_of_json(
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    done = run(*ONE, "--json", DATABASE_URL=database_url)
    progress, (result,) = lines(done.stderr), lines(done.stdout)
    assert {line["type"] for line in progress} == {"progress"}
    assert progress[0].keys() == {"type", "projection", "phase", "position", "target", "events_per_s", "left_s"}
    assert (result["type"], result["action"], result["generation"], result["position"]) == ("done", "replay", 2, 3)
    assert result["comparison"] == {"equal": True, "position": 3, "reason": "", "differences": []}


def test_a_difference_is_a_warning_and_the_rebuilt_tables_are_taken(
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    change(database_url, "delete from orders where placed_position = 2", ORDER_STATUS.schema)
    done = run(*ONE, DATABASE_URL=database_url)
    assert done.exit_code == 0
    assert (
        "warning: order_status: the live tables were not what the log says at position 3: orders (live 2 rows,"
        " rebuilt 3). The rebuilt ones are live now; the others are in projection_order_status_old" in done.stderr
    )


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    run: Run, database_url: str, all_followed: PostgresEventStore
) -> None:
    done = run("replay", "--dry-run", "--json", DATABASE_URL=database_url)
    plans = lines(done.stdout)
    assert [plan["projection"] for plan in plans] == [projection.name for projection in PROJECTIONS]
    assert {(plan["events"], plan["after"], plan["live_at"], plan["log_at"]) for plan in plans} == {(3, 0, 3, 3)}
    for option in ("--rollback", "--drop-as-of", "--as-of=2"):
        assert run("replay", "--dry-run", option, DATABASE_URL=database_url).exit_code == 0
    header, *_ = run("replay", "--dry-run", DATABASE_URL=database_url).stdout.splitlines()
    assert header.startswith("projection\ttables would\tevents\tafter\tlive at\tlog at\t")
    assert [schemas_of(database_url, one) for one in PROJECTIONS] == [[""]] * len(PROJECTIONS)


def test_tables_as_of_a_position_are_filled_told_and_removed(
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    done = run(*ONE, "--as-of", "2", DATABASE_URL=database_url)
    assert "order_status: as of position 2 in projection_order_status_as_of, digest " in done.stdout
    (query,) = (line.strip() for line in done.stdout.splitlines() if "select" in line)
    assert query.endswith("-- 2 rows")
    with psycopg.connect(database_url) as connection:
        assert len(connection.execute(query.encode()).fetchall()) == 2
    assert run(*ONE, "--drop-as-of", DATABASE_URL=database_url).exit_code == 0
    assert schemas_of(database_url, ORDER_STATUS) == [""]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--projection", "order"], "order is not one of order_status, "),
        (["--rollback", "--as-of", "1"], "exclude each other"),
        (["--as-of", "-1"], "-1 is not in the range"),
    ],
)
def test_wrong_options_are_refused_in_a_line(run: Run, options: list[str], text: str) -> None:
    done = run("replay", *options, DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr


def test_what_cannot_be_is_refused_in_a_line(run: Run, database_url: str, three_orders: PostgresEventStore) -> None:
    beyond = run(*ONE, "--as-of", "4", DATABASE_URL=database_url)
    assert (beyond.exit_code, beyond.stdout) == (2, "")
    assert "error: position 4 is beyond the log's last position 3" in beyond.stderr
    nothing = run(*ONE, "--rollback", DATABASE_URL=database_url)
    assert (nothing.exit_code, nothing.stdout) == (3, "")
    assert "error: order_status has no kept tables" in nothing.stderr


def test_with_something_to_put_back_for_some_projections_only_nothing_is_put_back(
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    follow(database_url, TRADES, three_orders)
    replay(database_url, ORDER_STATUS, three_orders)
    done = run("replay", "--rollback", *BOTH, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "error: trades has no kept tables" in done.stderr
    assert "Nothing was put back; `orders replay --rollback --projection order_status` does so with" in done.stderr
    replay(database_url, TRADES, three_orders)
    change(database_url, "delete from reached", kept_of(TRADES))
    done = run("replay", "--rollback", *BOTH, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "error: the tables in projection_trades_old are not whole" in done.stderr
    assert checkpoint_of(database_url, ORDER_STATUS).generation == 2


def test_a_script_replays_again_and_again_and_the_last_replaced_tables_come_back(
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    for arguments in (ONE, ONE, (*ONE, "--yes"), (*ONE, "--rollback")):
        assert run(*arguments, DATABASE_URL=database_url).exit_code == 0
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(3, 5)


def test_on_a_terminal_kept_tables_go_only_when_that_was_said(
    run: Run, database_url: str, three_orders: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*ONE, DATABASE_URL=database_url).exit_code == 0
    monkeypatch.setattr("order_service.cli.replay.at_terminal", lambda: True)
    asked = run(*ONE, DATABASE_URL=database_url)  # nothing is typed
    assert asked.exit_code == 1
    assert "the tables that an earlier replay has kept go: order_status. Go on?" in asked.stderr
    assert run(*ONE, "--yes", DATABASE_URL=database_url).exit_code == 0


def test_a_second_one_says_who_is_at_it(run: Run, database_url: str, three_orders: PostgresEventStore) -> None:
    with rebuilding(ORDER_STATUS, three_orders, database_url):
        done = run(*ONE, DATABASE_URL=database_url)
    assert done.exit_code == 4
    assert f"error: order_status is being rebuilt already, by orders replay (pid {os.getpid()} on " in done.stderr


def test_without_a_database_that_answers_it_ends_with_5(run: Run) -> None:
    done = run("replay", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    assert done.exit_code == 5
    assert done.stderr.startswith("error: ")
