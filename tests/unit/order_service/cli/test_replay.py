"""replay: what it says and how it ends; what it does to the tables is tested with the rebuild."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from order_service.cli.replay_progress import display
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections import swap
from projections.filling import Filling
from projections.order_status import ORDER_STATUS
from projections.rebuild import COMPARING, FILLING, Progress, rebuilding
from projections.registry import PROJECTIONS
from projections.swap import kept_of
from projections.tables import apply_to
from projections.trades import TRADES
from tests.support.rebuilds import change, checkpoint_of, follow, replay, schemas_of
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until
from tests.unit.order_service.cli.conftest import Run

ONE = ("replay", "--projection", "order_status")
BOTH = ("--projection", "order_status", "--projection", "trades")


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresEventStore]:
    """With three orders, followed by one projection; the command leaves this process as it is."""
    monkeypatch.setattr("order_service.cli.replay.lower_priority", lambda *_, **__: None)
    monkeypatch.setattr("order_service.cli.replay.collect_rarely", lambda: None)
    store = PostgresEventStore(database_url)
    desk = TradingDesk(store)
    for _ in range(3):
        desk.place(price="1.1")
    follow(database_url, ORDER_STATUS, store)
    yield store
    store.close()


@pytest.fixture
def all_followed(database_url: str, store: PostgresEventStore) -> PostgresEventStore:
    for projection in PROJECTIONS:
        follow(database_url, projection, store)
    return store


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


def test_what_cannot_be_is_refused_in_a_line(run: Run, database_url: str, store: PostgresEventStore) -> None:
    beyond = run(*ONE, "--as-of", "4", DATABASE_URL=database_url)
    assert (beyond.exit_code, beyond.stdout) == (2, "")
    assert "error: position 4 is beyond the log's last position 3" in beyond.stderr
    nothing = run(*ONE, "--rollback", DATABASE_URL=database_url)
    assert (nothing.exit_code, nothing.stdout) == (3, "")
    assert "error: order_status has no kept tables" in nothing.stderr


def test_with_something_to_put_back_for_some_projections_only_nothing_is_put_back(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    follow(database_url, TRADES, store)
    replay(database_url, ORDER_STATUS, store)
    done = run("replay", "--rollback", *BOTH, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "error: trades has no kept tables" in done.stderr
    assert "Nothing was put back; `orders replay --rollback --projection order_status` does so with" in done.stderr
    replay(database_url, TRADES, store)
    change(database_url, "delete from reached", kept_of(TRADES))
    done = run("replay", "--rollback", *BOTH, DATABASE_URL=database_url)
    assert (done.exit_code, done.stdout) == (4, "")
    assert "error: the tables in projection_trades_old are not whole" in done.stderr
    assert checkpoint_of(database_url, ORDER_STATUS).generation == 2


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


@pytest.mark.parametrize(
    ("option", "again"),
    [
        (["--rollback"], "`orders replay --rollback --projection order_status`; it goes on after position 1"),
        (["--as-of", "2"], "`orders replay --as-of 2 --projection order_status`"),
    ],
)
def test_what_was_interrupted_is_told_with_the_command_that_does_the_same_again(
    run: Run,
    database_url: str,
    store: PostgresEventStore,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    again: str,
) -> None:
    replay(database_url, ORDER_STATUS, store)
    empty(database_url, kept_of(ORDER_STATUS))
    monkeypatch.setattr("projections.filling.REBUILD_BATCH_EVENTS", 1)
    monkeypatch.setattr("projections.rebuild.REBUILD_TOLD_S", 0)
    monkeypatch.setattr("projections.filling.apply_to", interrupted(at=1))
    done = run(*ONE, *option, DATABASE_URL=database_url)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].endswith(f"stopped. The live tables are as they were. Again: {again}")
    assert checkpoint_of(database_url, ORDER_STATUS) == Checkpoint(3, 2)


def empty(url: str, schema: str) -> None:
    change(url, "delete from orders", schema)
    change(url, "update reached set position = 0", schema)


def interrupted(at: int) -> Callable[..., None]:
    """What fills tables, with Ctrl-C in the call of that number, counted from 0."""
    numbers = count()

    def apply(*arguments: Any) -> None:
        if next(numbers) == at:
            os.kill(os.getpid(), signal.SIGINT)
        apply_to(*arguments)

    return apply


def test_ctrl_c_in_a_swap_waits_for_its_end_and_begins_no_other_rebuild(
    run: Run, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_swap(filling: Filling) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return attempt(filling)

    attempt = swap._attempt
    monkeypatch.setattr(swap, "_attempt", interrupted_swap)
    done = run("replay", *BOTH, DATABASE_URL=database_url)
    assert done.exit_code == 1
    assert "order_status: live at position 3, generation 2" in done.stdout
    assert done.stderr.splitlines()[-1] == (
        "error: stopped before trades. Done: order_status. Again: `orders replay --projection trades`"
    )
    assert schemas_of(database_url, TRADES) == []


def test_a_swap_of_which_no_answer_came_is_looked_at_before_anything_is_said_about_it(
    run: Run, database_url: str, store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(filling: Filling) -> int:
        attempt(filling)
        raise psycopg.OperationalError("the server closed the connection")

    attempt = swap._attempt
    monkeypatch.setattr(swap, "_attempt", lost)
    done = run(*ONE, DATABASE_URL=database_url)
    assert done.exit_code == 5
    assert done.stderr.splitlines()[-1] == (
        "error: order_status: the server closed the connection. Its tables were swapped all the same, and are live in"
        " generation 2. Done: order_status."
    )
    monkeypatch.setattr("order_service.cli.replay_work.generation_after_swap", unreachable)
    done = run("replay", *BOTH, DATABASE_URL=database_url)
    assert done.stderr.splitlines()[-1] == (
        "error: order_status: the server closed the connection. Its tables may have been swapped: `orders replay"
        " --dry-run --projection order_status` shows the generation, which was 2. Again: `orders replay --projection"
        " trades`"
    )


def unreachable(*_: object) -> int:
    raise psycopg.OperationalError("no route")


def test_what_goes_wrong_with_one_names_those_that_are_done(
    run: Run, database_url: str, store: PostgresEventStore
) -> None:
    with rebuilding(TRADES, store, database_url):
        done = run("replay", *BOTH, DATABASE_URL=database_url)
    assert done.exit_code == 4
    assert done.stderr.splitlines()[-1].endswith(". Done: order_status. Again: `orders replay --projection trades`")


def test_a_rebuild_goes_on_without_a_word_where_nobody_reads_what_it_prints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    progress = Progress(projection="trades", phase=FILLING, position=1, target=2, events_per_s=1.0, left_s=None)
    for name, as_json in (("stdout", True), ("stderr", False)):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as stream, monkeypatch.context() as patched:
            patched.setattr(sys, name, stream)
            with display(as_json) as shown:
                for phase in (FILLING, COMPARING):
                    shown.show(msgspec.structs.replace(progress, phase=phase))


def test_without_a_database_that_answers_it_ends_with_5(run: Run) -> None:
    done = run("replay", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
    assert done.exit_code == 5
    assert done.stderr.startswith("error: ")


def test_ctrl_c_ends_it_at_once_with_the_live_tables_as_they_were(
    database_url: str, store: PostgresEventStore, tmp_path: Path
) -> None:
    follow(database_url, TRADES, store)
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
