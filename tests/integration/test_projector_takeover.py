"""Of several projectors one keeps a projection; another one takes over within 5 s of its death, or of its freezing."""

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from orders.eventstore.connections import connect
from orders.eventstore.postgres import PostgresEventStore
from orders.takeover import Takeover
from projections.registry import PROJECTIONS
from tests.support.projection_rows import wait_for_rows
from tests.support.projector_process import ProjectorProcess, running_projector
from tests.support.trading_desk import TradingDesk
from tests.support.waiting import wait_until

TAKEN_OVER_S = 5.0


def seconds_until_all_follow(url: str, desk: TradingDesk) -> float:
    began_at = time.monotonic()
    desk.fill(desk.place(), 100)
    for projection in PROJECTIONS:
        wait_for_rows(url, projection, desk.store.head())
    return time.monotonic() - began_at


def test_the_second_takes_over_from_one_that_is_frozen_and_the_first_again_from_one_that_is_killed(
    store: PostgresEventStore, database_url: str, tmp_path: Path
) -> None:
    desk = TradingDesk(store)
    with ExitStack() as running:
        frozen: ProjectorProcess = running.enter_context(running_projector(database_url, tmp_path / "frozen.log"))
        seconds_until_all_follow(database_url, desk)
        killed = ProjectorProcess(database_url, tmp_path / "killed.log")
        running.callback(killed.close)
        killed.start()
        killed.wait_ready()
        os.kill(frozen.pid, signal.SIGSTOP)
        running.callback(os.kill, frozen.pid, signal.SIGCONT)
        assert seconds_until_all_follow(database_url, desk) < TAKEN_OVER_S

        os.kill(frozen.pid, signal.SIGCONT)
        wait_until(lambda: "waits" in (tmp_path / "frozen.log").read_text(), what="the frozen one to find itself out")
        assert seconds_until_all_follow(database_url, desk) < TAKEN_OVER_S
        killed.kill()
        assert seconds_until_all_follow(database_url, desk) < TAKEN_OVER_S


def test_nobody_takes_over_from_one_that_lives(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orders.takeover.FOLLOWER_SILENT_S", 0.05)
    lock = "select pg_advisory_lock(hashtextextended('follower a', 0))"
    with psycopg.connect(database_url, autocommit=True) as holder, connect(database_url, application_name="b") as other:
        holder.execute(lock)
        takeover = Takeover("follower a")
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            holder.execute("select 1")
            takeover.look(other)
        holder.execute("select 1")

        def is_ended() -> bool:
            takeover.look(other)
            return not other.execute("select from pg_locks where locktype = 'advisory'").fetchall()

        wait_until(is_ended, what="the silent session to be ended")
        with pytest.raises(psycopg.OperationalError):
            holder.execute("select 1")
