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
    IMPATIENT_S,
    PART_READY_S,
    RESTART_FIRST_S,
    RESTART_MOST_S,
    STEADY_S,
    SUPERVISOR_POLL_S,
)
from order_service.child_processes import spawn
from order_service.errors import ChildNotStarted, EmbeddedPostgresError, PartFailed, StartAbandoned

READY_FD = "ORDERS_READY_FD"
"""The file descriptor on which a part says, in one line, that it is ready; set by the supervisor."""

STOP_S = "ORDERS_STOP_S"
"""The seconds that a part has to stop; set by the supervisor."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Part(Struct, frozen=True):
    """`stop_s` bounds its graceful stop; the sum over all parts stays below ten seconds, but for those that are told to
    stop `at_once` and only waited for in their turn."""

    name: str
    argv: tuple[str, ...]
    stop_s: float
    at_once: bool = False


class Database(Protocol):
    """The embedded PostgreSQL, as far as the supervisor cares."""

    def start(self, *, stopping: Callable[[], bool] = ...) -> None: ...
    def stop(self) -> None: ...
    def poll(self) -> int | None: ...


class _Backoff:
    """When something that ended is due again: the pause doubles, and is short again after a steady run."""

    def __init__(self) -> None:
        self.due_at = 0.0
        self.pause_s = RESTART_FIRST_S
        self._began_at = 0.0

    def began(self) -> None:
        self._began_at = time.monotonic()

    def ended(self) -> None:
        now = time.monotonic()
        if now - self._began_at > STEADY_S:
            self.pause_s = RESTART_FIRST_S
        self.due_at = now + self.pause_s
        self.pause_s = min(self.pause_s * 2, RESTART_MOST_S)


class Child:
    """One part's process, from start to restart."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_fd: int | None = None
        self.backoff = _Backoff()
        self._stop_by: float | None = None

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def start(self) -> int:
        """The pid of the new process. Raises ChildNotStarted."""
        self.backoff.began()
        reader, writer = os.pipe()
        try:
            environment = {**os.environ, READY_FD: str(writer), STOP_S: str(self.part.stop_s)}
            self.process = spawn(self.part.argv, env=environment, death_signal=signal.SIGTERM, pass_fds=(writer,))
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        self.ready_fd = reader
        return self.process.pid

    def exited(self) -> int | None:
        """The exit code of a process that has ended since the last call; its restart is then due after a pause."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        self._close_ready()
        self.backoff.ended()
        return code

    def said_ready(self) -> bool:
        """Whether the part has said since the last call that it is ready."""
        if self.ready_fd is None:
            return False
        try:
            said = bool(os.read(self.ready_fd, 64))
        except BlockingIOError:
            return False
        self._close_ready()
        return said

    def tell_to_stop(self) -> None:
        """Asks it to end, once; its time runs from now on."""
        if self.process is not None and self._stop_by is None:
            self._stop_by = time.monotonic() + self.part.stop_s
            self.process.terminate()

    def stop(self) -> bool:
        """Asks it to end, and kills it when its time is up. Whether it ended by itself."""
        self.tell_to_stop()
        if self.process is None or self._stop_by is None:
            return True
        try:
            self.process.wait(max(0.0, self._stop_by - time.monotonic()))
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
    """`parts` in the order of their start; `stop_order` names them in the order of their stop. `warn` is told what
    needs a look, `tell` the rest."""

    def __init__(
        self,
        parts: Sequence[Part],
        stop_order: Sequence[str],
        database: Database | None,
        tell: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._children = [Child(part) for part in parts]
        self._stop_order = stop_order
        self._database = database
        self._database_backoff = _Backoff()
        self._tell = tell
        self._warn = warn
        self._told_at: float | None = None
        self._interruptible = False

    def run(self, prepare: Callable[[], None], started: Callable[[], None]) -> None:
        """Starts the database, calls `prepare` (migrations), starts the parts, calls `started`, and watches until
        SIGTERM or SIGINT. After these the process is expected to end: it takes no further one.

        Raises PartFailed where a part does not come up at the first start; everything started is stopped by then.
        """
        with self._signals_wake() as wake:
            try:
                self._start(prepare, wake)
                if not self._told_to_stop():
                    started()
                while not self._told_to_stop():
                    self._sleep(wake)
                    self._watch()
            except StartAbandoned:
                return
            finally:
                self._stop()

    def _start(self, prepare: Callable[[], None], wake: int) -> None:
        if self._database is not None:
            self._database_backoff.began()
            self._database.start(stopping=self._told_to_stop)
        with self._signals_interrupt():
            prepare()
        self._start_parts(wake)

    def _start_parts(self, wake: int) -> None:
        """All at once, since each spends its first second on imports; then waits for each."""
        deadline = time.monotonic() + PART_READY_S
        for child in self._children:
            child.start()
        waiting = list(self._children)
        while waiting and not self._told_to_stop():
            self._sleep(wake, *(child.ready_fd for child in waiting if child.ready_fd is not None))
            for child in list(waiting):
                if child.said_ready():
                    waiting.remove(child)
                    self._tell(f"started {child.part.name} (pid {child.pid})")
            self._watch(starting=waiting)
            if waiting and time.monotonic() > deadline:
                raise PartFailed(f"{waiting[0].part.name} was not ready within {PART_READY_S:g} s")

    def _watch(self, starting: Sequence[Child] = ()) -> None:
        """Starts again what has ended. One that is `starting` and ends by itself cannot work: PartFailed; one that was
        killed, or lost its database, can."""
        has_database = self._keep_database()
        for child in self._children:
            code = child.exited()
            if code is not None:
                if child in starting and code >= 0 and has_database:
                    raise PartFailed(f"{child.part.name} ended at its start with {_ending(code)}")
                self._warn(f"{child.part.name} ended with {_ending(code)}; starting it again")
            if child.process is None and time.monotonic() >= child.backoff.due_at and not self._told_to_stop():
                try:
                    self._tell(f"started {child.part.name} again (pid {child.start()})")
                except ChildNotStarted as error:
                    child.backoff.ended()
                    self._warn(str(error))

    def _keep_database(self) -> bool:
        """Whether it ran without a break. One that cannot start now, on a full disk for example, is tried again: all
        goes on when it is back."""
        database, backoff = self._database, self._database_backoff
        if database is None or database.poll() is None:
            return True
        if time.monotonic() < backoff.due_at:
            return False
        self._warn("the database ended; starting it again")
        backoff.ended()
        backoff.began()
        try:
            database.start(stopping=self._told_to_stop)
        except StartAbandoned:
            raise
        except (EmbeddedPostgresError, ChildNotStarted) as error:
            self._warn(str(error))
        return False

    def _stop(self) -> None:
        by_name = {child.part.name: child for child in self._children}
        for child in self._children:
            if child.part.at_once:
                child.tell_to_stop()
        for name in self._stop_order:
            if name in by_name and not by_name[name].stop():
                self._warn(f"{name} did not stop in time and was killed; nothing accepted is lost")
        if self._database is not None:
            self._database.stop()

    @contextmanager
    def _signals_wake(self) -> Iterator[int]:
        """Notes SIGTERM and SIGINT, and lets them and SIGCHLD end the loop's wait."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        previous_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        previous = {number: signal.signal(number, self._on_stop_signal) for number in _STOP_SIGNALS}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield reader
        finally:
            if self._told_to_stop():  # `make` and its group may each send one: the later changes nothing any more
                previous.update(dict.fromkeys(_STOP_SIGNALS, signal.SIG_IGN))
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_fd)
            os.close(reader)
            os.close(writer)

    @contextmanager
    def _signals_interrupt(self) -> Iterator[None]:
        """What waits in here, such as a migration for its lock, ends with StartAbandoned when a signal comes."""
        self._interruptible = True
        try:
            if self._told_to_stop():
                raise KeyboardInterrupt
            yield
        except KeyboardInterrupt:  # for which psycopg cancels its statement at the server
            raise StartAbandoned("told to stop while it started") from None
        finally:
            self._interruptible = False

    def _told_to_stop(self) -> bool:
        return self._told_at is not None

    def _on_stop_signal(self, number: int, frame: object) -> None:
        """The first one ends all gently; one that comes a while after it is from a person who will not wait."""
        now = time.monotonic()
        if self._told_at is None:
            self._told_at = now
            if self._interruptible:
                self._interruptible = False
                raise KeyboardInterrupt
        elif now - self._told_at >= IMPATIENT_S:
            for child in self._children:
                child.kill()

    def _sleep(self, wake: int, *others: int) -> None:
        """Until a signal comes, a child ends, or one of the descriptors can be read; bounded."""
        select.select([wake, *others], [], [], SUPERVISOR_POLL_S)
        with suppress(BlockingIOError):
            while os.read(wake, 1024):
                pass


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def seconds_to_stop() -> float | None:
    """What the supervisor, if there is one, gives this process before it kills it."""
    given = os.environ.get(STOP_S)
    return None if given is None else float(given)


def say_ready() -> None:
    """Tells the supervisor, if there is one, that this process is ready."""
    given = os.environ.pop(READY_FD, None)
    if given is not None:
        with suppress(OSError):
            os.write(int(given), b"ready\n")
            os.close(int(given))
