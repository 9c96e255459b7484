"""replay: what it says and how it ends; what it does to the tables is tested with the rebuild."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections.order_status import ORDER_STATUS
from projections.rebuild import rebuilding
from projections.registry import PROJECTIONS
from projections.trades import TRADES
from tests.support.rebuilds import change, checkpoint_of, follow, replay, schemas_of
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until
from tests.unit.order_service.cli.conftest import Run

ONE = ("replay", "--projection", "order_status")


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresEventStore]:
    """With three orders, followed; the command leaves this process's priority alone."""
    monkeypatch.setattr("order_service.cli.replay.lower_priority", lambda *_, **__: None)
    store = PostgresEventStore(database_url)
    desk = TradingDesk(store)
    for _ in range(3):
        desk.place(price="1.1")
    for projection in PROJECTIONS:
        follow(database_url, projection, store)
    yield store
    store.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_it_rebuilds_every_projection_and_says_what_came_of_it(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    done = run("replay", DATABASE_URL=database_url)
    assert done.exit_code == 0, done.output
    for projection in PROJECTIONS:
        assert f"{projection.name}: live at position 3, generation 2 (3 events in " in done.stdout
        assert f"back with `orders replay --rollback --projection {projection.name}`" in done.stdout
        assert f"{projection.name}: comparing, at position 3 of 3" in done.stderr
    assert done.stdout.count("equal to the tables before, at position 3; digest ") == len(PROJECTIONS)


def test_with_json_progress_and_result_are_lines_of_json(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    done = run(*ONE, "--json", DATABASE_URL=database_url)
    *progress, last = lines(done.stdout)
    assert {line["type"] for line in progress} == {"progress"}
    assert progress[0].keys() == {"type", "projection", "phase", "position", "target", "events_per_s", "left_s"}
    assert (last["type"], last["action"], last["generation"], last["position"]) == ("done", "replay", 2, 3)
    assert last["comparison"] == {"equal": True, "position": 3, "reason": "", "differences": []}
    assert done.stderr == ""


def test_a_difference_is_a_warning_and_the_rebuilt_tables_are_taken(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    change(database_url, "delete from orders where placed_position = 2", ORDER_STATUS.schema)
    done = run(*ONE, DATABASE_URL=database_url)
    assert done.exit_code == 0
    assert (
        "warning: order_status: the live tables were not what the log says at position 3: orders (live 2 rows,"
        " rebuilt 3). The rebuilt ones are live now; the others are in projection_order_status_old" in done.stderr
    )


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    done = run("replay", "--dry-run", "--json", DATABASE_URL=database_url)
    plans = lines(done.stdout)
    assert [plan["projection"] for plan in plans] == [projection.name for projection in PROJECTIONS]
    assert {(plan["events"], plan["after"], plan["live at"], plan["log at"]) for plan in plans} == {(3, 0, 3, 3)}
    for option in ("--rollback", "--drop-as-of", "--as-of=2"):
        assert run("replay", "--dry-run", option, DATABASE_URL=database_url).exit_code == 0
    assert [schemas_of(database_url, one) for one in PROJECTIONS] == [[""]] * len(PROJECTIONS)


def test_tables_as_of_a_position_are_filled_told_and_removed(
    run: Run, database_url: str, store: PostgresEventStore
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
    ("options", "text", "code"),
    [
        (["--as-of", "4"], "error: position 4 is beyond the log's last position 3", 2),
        (["--projection", "order"], "order is not one of order_status, ", 2),
        (["--rollback", "--as-of", "1"], "exclude each other", 2),
        (["--as-of", "-1"], "-1 is not in the range", 2),
        (["--rollback"], "error: order_status has no kept tables", 3),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    run: Run, database_url: str, store: PostgresEventStore, options: list[str], text: str, code: int
) -> None:
    done = run("replay", *options, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (code, "")
    assert text in done.stderr


def test_a_script_replays_again_and_again_and_the_last_replaced_tables_come_back(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    for arguments in (ONE, ONE, (*ONE, "--yes"), (*ONE, "--rollback")):
        assert run(*arguments, DATABASE_URL=database_url).exit_code == 0
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(3, 5)


def test_on_a_terminal_kept_tables_go_only_when_that_was_said(
    run: Run, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*ONE, DATABASE_URL=database_url).exit_code == 0
    monkeypatch.setattr("order_service.cli.replay.at_terminal", lambda: True)
    asked = run(*ONE, DATABASE_URL=database_url)  # nothing is typed
    assert asked.exit_code == 1
    assert "the tables that an earlier replay has kept go: order_status. Go on?" in asked.stderr
    assert run(*ONE, "--yes", DATABASE_URL=database_url).exit_code == 0


def test_a_second_one_says_who_is_at_it(run: Run, database_url: str, store: PostgresEventStore) -> None:
    with rebuilding(ORDER_STATUS, store, database_url):
        done = run(*ONE, DATABASE_URL=database_url)
    assert done.exit_code == 4
    assert f"error: order_status is being rebuilt already, by orders replay (pid {os.getpid()} on " in done.stderr


@pytest.mark.parametrize(
    ("failure", "text", "code"),
    [
        (psycopg.errors.DiskFull("could not extend file"), "could not extend file", 1),
        (psycopg.OperationalError("the server closed the connection"), "the server closed the connection", 5),
        (ValueError("no rule"), "between positions 1 and 3: ValueError: no rule", 1),
    ],
    ids=["full disk", "lost database", "failing step"],
)
def test_what_goes_wrong_ends_it_with_the_live_tables_as_they_were(
    run: Run,
    database_url: str,
    store: PostgresEventStore,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    text: str,
    code: int,
) -> None:
    def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr("projections.filling.apply_to", fails)
    done = run(*ONE, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (code, "")
    assert f"error: order_status: {text}. The live tables are as they were. Again: " in done.stderr
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(3, 1)


def test_without_a_database_that_answers_it_ends_with_5(run: Run) -> None:
    done = run("replay", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    assert done.exit_code == 5
    assert done.stderr.startswith("error: ")


def test_ctrl_c_ends_it_at_once_with_the_live_tables_as_they_were(
    database_url: str, store: PostgresEventStore, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "order_service", "replay", "--projection", "trades", "--fast"]
    with psycopg.connect(database_url) as holder:
        holder.execute("select from follower_checkpoint where name = 'trades' for update")
        environment = {**os.environ, "DATABASE_URL": database_url}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: waiting_for_a_lock(database_url), what="the replay at its work")
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=10)
    assert process.returncode == 1
    assert told.splitlines()[-1] == (
        "error: trades: stopped. The live tables are as they were. Again: `orders replay --projection trades`; it goes"
        " on after position 3"
    )
    assert checkpoint_of(database_url, TRADES) == Checkpoint(3, 1)
    assert replay(database_url, TRADES, store).generation == 2


def waiting_for_a_lock(url: str) -> bool:
    with psycopg.connect(url) as connection:
        waits = "select from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'orders replay%'"
        return bool(connection.execute(waits.encode()).fetchall())
