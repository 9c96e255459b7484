"""A part in a process of its own is never left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.child_process import ChildProcess
from tests.support.processes import has_ended

WORDS_THEN_NOTHING = "import os, sys, time; print(sys.argv[1], os.getpid(), flush=True); time.sleep(60)"


def child(says: str, folder: Path) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", WORDS_THEN_NOTHING, says], folder / "log", ready="ready")


def test_one_that_says_something_else_than_ready_is_ended(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="it did not start: 'no such thing") as refused,
        child("no such thing", tmp_path),
    ):
        pass
    said = str(refused.value).split("'")[1]
    assert has_ended(int(said.removesuffix("\\n").rsplit(" ", 1)[1]))


def test_it_is_ended_with_its_block_however_that_ends(tmp_path: Path) -> None:
    pids = list[int]()

    def fail_in_its_block() -> None:
        with child("ready", tmp_path) as process:
            pids.append(process.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_its_block()
    assert has_ended(pids[0])


def test_it_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    with child("ready", tmp_path) as process:
        first = process.pid
        assert process.stop() == -signal.SIGTERM
        process.start()
        assert process.pid != first
        os.kill(process.pid, 0)
