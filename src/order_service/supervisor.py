"""Starts the parts of the service as processes of their own, restarts what dies, and stops all in order.

One loop in the main thread does everything: the parent-death signal of a child is bound to the thread that started it.
Each child runs in its own session, so that Ctrl-C reaches the supervisor only.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from msgspec import Struct

from order_service.bounds import (
    PART_READY_S,
    RESTART_FIRST_S,
    RESTART_MOST_S,
    STEADY_S,
    SUPERVISOR_POLL_S,
)
from order_service.child_processes import spawn
from order_service.errors import PartFailed, StartAbandoned

READY_FD = "ORDERS_READY_FD"
"""The file descriptor on which a part says, in one line, that it is ready; set by the supervisor."""


class Part(Struct, frozen=True):
    """`stop_s` bounds its graceful stop; the sum over all parts stays below ten seconds."""

    name: str
    argv: tuple[str, ...]
    stop_s: float


class Database(Protocol):
    """The embedded PostgreSQL, as far as the supervisor cares."""

    def start(self, *, stopping: Callable[[], bool] = ...) -> None: ...
    def stop(self) -> None: ...
    def poll(self) -> int | None: ...


class Child:
    """One part's process, from start to restart."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_fd: int | None = None
        self.starts = 0
        self._started_at = 0.0
        self._delay_s = RESTART_FIRST_S
        self.due_at = 0.0

    def start(self) -> int:
        """The pid of the new process."""
        self.ready_fd, writer = os.pipe()
        try:
            environment = {**os.environ, READY_FD: str(writer)}
            self.process = spawn(self.part.argv, env=environment, death_signal=signal.SIGTERM, pass_fds=(writer,))
        finally:
            os.close(writer)
        self.starts += 1
        self._started_at = time.monotonic()
        return self.process.pid

    def exited(self) -> int | None:
        """The exit code of a process that has ended since the last call; its restart is then due after a pause."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        self._close_ready()
        if time.monotonic() - self._started_at > STEADY_S:
            self._delay_s = RESTART_FIRST_S
        self.due_at = time.monotonic() + self._delay_s
        self._delay_s = min(self._delay_s * 2, RESTART_MOST_S)
        return code

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether the part said that it is ready, within the time and before its end."""
        if self.ready_fd is None:
            return False
        readable, _, _ = select.select([self.ready_fd], [], [], timeout_s)
        said = bool(readable) and bool(os.read(self.ready_fd, 64))
        if readable:
            self._close_ready()
        return said

    def stop(self) -> bool:
        """Asks it to end, and kills it when its time is up. Whether it ended by itself."""
        if self.process is None:
            return True
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            self.process.wait(self.part.stop_s)
            return True
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        finally:
            self.process = None
            self._close_ready()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def _close_ready(self) -> None:
        if self.ready_fd is not None:
            os.close(self.ready_fd)
            self.ready_fd = None


class Supervisor:
    """`parts` in the order of their start; `stop_order` names them in the order of their stop."""

    def __init__(
        self, parts: Sequence[Part], stop_order: Sequence[str], database: Database | None, tell: Callable[[str], None]
    ) -> None:
        self._children = [Child(part) for part in parts]
        self._stop_order = stop_order
        self._database = database
        self._tell = tell
        self._signals = 0

    def run(self, prepare: Callable[[], None], started: Callable[[], None]) -> None:
        """Starts the database, calls `prepare` (migrations), starts the parts, calls `started`, and watches until
        SIGTERM or SIGINT.

        Raises PartFailed where a part does not come up at the first start; everything started is stopped by then.
        """
        with self._signals_wake() as wake:
            try:
                if self._database is not None:
                    self._database.start(stopping=self._told_to_stop)
                prepare()
                self._first_start()
                if not self._told_to_stop():
                    started()
                while not self._told_to_stop():
                    select.select([wake], [], [], SUPERVISOR_POLL_S)
                    self._drain(wake)
                    self._watch()
            except StartAbandoned:
                return
            finally:
                self._stop()

    def _first_start(self) -> None:
        """All at once, since each spends its first second on imports; then waits for each."""
        deadline = time.monotonic() + PART_READY_S
        pids = [child.start() for child in self._children]
        for child, pid in zip(self._children, pids, strict=True):
            while not child.wait_ready(SUPERVISOR_POLL_S):
                if self._told_to_stop():
                    return
                if (code := child.exited()) is not None:
                    raise PartFailed(f"{child.part.name} ended at its start with {_ending(code)}")
                if time.monotonic() > deadline:
                    raise PartFailed(f"{child.part.name} was not ready within {PART_READY_S:g} s")
            self._tell(f"started {child.part.name} (pid {pid})")

    def _watch(self) -> None:
        now = time.monotonic()
        if self._database is not None and self._database.poll() is not None:
            self._tell("the database ended; starting it again")
            self._database.start(stopping=self._told_to_stop)
        for child in self._children:
            code = child.exited()
            if code is not None:
                self._tell(f"{child.part.name} ended with {_ending(code)}; starting it again")
            if child.process is None and now >= child.due_at:
                self._tell(f"started {child.part.name} again (pid {child.start()})")

    def _stop(self) -> None:
        by_name = {child.part.name: child for child in self._children}
        for name in self._stop_order:
            if name in by_name and not by_name[name].stop():
                self._tell(f"{name} did not stop in time and was killed; nothing accepted is lost")
        if self._database is not None:
            self._database.stop()

    @contextmanager
    def _signals_wake(self) -> Iterator[int]:
        """Counts SIGTERM and SIGINT, and lets them and SIGCHLD end the loop's wait. A second one kills at once."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        handlers = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_stop_signal),
            signal.SIGINT: signal.signal(signal.SIGINT, self._on_stop_signal),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
        }
        previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(previous)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _told_to_stop(self) -> bool:
        return self._signals > 0

    def _on_stop_signal(self, number: int, frame: object) -> None:
        self._signals += 1
        if self._signals > 1:
            for child in self._children:
                child.kill()

    def _drain(self, wake: int) -> None:
        with suppress(BlockingIOError):
            while os.read(wake, 1024):
                pass


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def say_ready() -> None:
    """Tells the supervisor, if there is one, that this process is ready."""
    given = os.environ.pop(READY_FD, None)
    if given is not None:
        with suppress(OSError):
            os.write(int(given), b"ready\n")
            os.close(int(given))
