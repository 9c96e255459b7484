"""replay that fails or is interrupted: what is live then, what is done, and what to type."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from order_service.cli.replay_progress import display
from order_service.postgres import service_url
from orders.eventstore.postgres import PostgresEventStore
from orders.follower import Checkpoint
from projections import swap
from projections.filling import Filling
from projections.order_status import ORDER_STATUS
from projections.rebuild import COMPARING, FILLING, Progress, rebuilding
from projections.swap import kept_of
from projections.tables import apply_to
from projections.trades import TRADES
from tests.support.rebuilds import change, checkpoint_of, follow, replay, schemas_of
from tests.support.waiting import wait_until
from tests.unit.order_service.cli.conftest import Run

ONE = ("replay", "--projection", "order_status")
BOTH = ("--projection", "order_status", "--projection", "trades")


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
    three_orders: PostgresEventStore,
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
    three_orders: PostgresEventStore,
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    again: str,
) -> None:
    replay(database_url, ORDER_STATUS, three_orders)
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
    run: Run, database_url: str, three_orders: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
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
    run: Run, database_url: str, three_orders: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
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
    run: Run, database_url: str, three_orders: PostgresEventStore
) -> None:
    with rebuilding(TRADES, three_orders, database_url):
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


def test_ctrl_c_ends_it_at_once_with_the_live_tables_as_they_were(
    database_url: str, three_orders: PostgresEventStore, tmp_path: Path
) -> None:
    follow(database_url, TRADES, three_orders)
    command = [sys.executable, "-m", "order_service", "replay", "--projection", "trades", "--fast"]
    with psycopg.connect(database_url) as holder:
        holder.execute("select from follower_checkpoint where name = 'trades' for update")
        environment = {**os.environ, "DATABASE_URL": service_url(database_url)}
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
    assert replay(database_url, TRADES, three_orders).generation == 2


def waiting_for_a_lock(url: str) -> bool:
    with psycopg.connect(url) as connection:
        waits = "select from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'orders replay%'"
        return bool(connection.execute(waits.encode()).fetchall())
