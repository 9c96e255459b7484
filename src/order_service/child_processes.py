"""Starts processes that never outlive us, each in a session of its own.

A session of its own keeps Ctrl-C on the terminal away from the child: the supervisor alone decides who stops when. On
Linux the kernel tells the child when its parent is gone, even by kill -9 (`child_exec`); elsewhere an orphan lives on.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from msgspec import Struct

from order_service import child_exec
from order_service.bounds import CHILD_EXEC_TIMEOUT_S
from order_service.child_exec import die_with_parent
from order_service.errors import ChildNotStarted

__all__ = ["Account", "die_with_parent", "spawn"]

Output = int | IO[bytes] | None  # as subprocess takes it


class Account(Struct, frozen=True):
    """Whom a child runs as. Its other groups are dropped."""

    name: str
    uid: int
    gid: int


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    death_signal: signal.Signals = signal.SIGTERM,
    account: Account | None = None,
    cwd: Path | str | None = None,
    stdin: Output = subprocess.DEVNULL,
    stdout: Output = None,
    stderr: Output = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """The running child, which has become `argv` (its first entry a path), or ChildNotStarted.

    Only the main thread may call: the kernel sends the death signal when the *thread* that started the child ends.
    `env` is all of the child's environment. With `account` we must be root. `cwd` is entered before the account is
    taken on, so it may be a folder that the account cannot reach.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started by the main thread: they would end with any other one")
    report, report_end = os.pipe()
    try:
        wrapper = _wrapper(argv, death_signal=death_signal, account=account, report_end=report_end)
        child = subprocess.Popen(
            wrapper,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(*pass_fds, report_end),
            start_new_session=True,
        )
    except OSError as error:
        os.close(report)
        raise ChildNotStarted(f"{argv[0]} could not be started: {error.strerror} ({error.filename})") from error
    finally:
        os.close(report_end)
    with os.fdopen(report, "rb") as reports:
        _expect_success(child, reports, f"{argv[0]} as {account.name}" if account else str(argv[0]))
    return child


def _wrapper(
    argv: Sequence[str | Path], *, death_signal: signal.Signals, account: Account | None, report_end: int
) -> list[str]:
    """`-I -S`: no site folder and nothing of the environment, which belongs to the program that it becomes."""
    who = f"{account.uid}:{account.gid}" if account else child_exec.KEEP_ACCOUNT
    command = [sys.executable, "-I", "-S", child_exec.__file__]
    return [*command, str(os.getpid()), str(int(death_signal)), who, str(report_end), *map(str, argv)]


def _expect_success(child: subprocess.Popen[bytes], reports: IO[bytes], program: str) -> None:
    """Waits until the exec has closed the pipe. What the pipe brought before is why there was none."""
    try:
        if not select.select([reports], [], [], CHILD_EXEC_TIMEOUT_S)[0]:
            raise ChildNotStarted(f"{program} could not be started: no sign of life for {CHILD_EXEC_TIMEOUT_S:.0f} s")
        if reason := reports.read().decode(errors="replace"):
            raise ChildNotStarted(f"{program} could not be started: {reason}")
    except BaseException:
        child.kill()
        child.communicate()
        raise
