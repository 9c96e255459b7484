"""The supervisor with tiny programs as its parts: order, readiness, restarts, and every way to be told to stop."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from order_service.bounds import RESTART_FIRST_S, RESTART_MOST_S, STEADY_S
from order_service.errors import ChildNotStarted, PartFailed, PostgresNotStarted, StartAbandoned
from order_service.processes import supervisor as module
from order_service.processes.supervisor import READY_FD, Part, Supervisor, say_ready
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

# Notes what happens to it in a file that all parts share. What it does beside is its last argument.
PROGRAM = textwrap.dedent(
    """
    import os, signal, sys, time
    name, path, manner = sys.argv[1:]

    def note(what):
        with open(path, "a") as file:
            file.write(f"{name} {what} {os.getpid()}\\n")

    def told(number, frame):
        if manner == "repeats":
            os.kill(os.getppid(), signal.SIGTERM)
        if manner == "insists":
            os.kill(os.getppid(), signal.SIGINT)
            return
        note("stopped")
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if manner == "stubborn" else told)
    note("started")
    if manner == "fails":
        sys.exit(3)
    if manner == "killed once" and open(path).read().count(f"{name} started") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if manner == "tells":
        os.kill(os.getppid(), signal.SIGTERM)
    if manner not in ("silent", "tells"):
        os.write(int(os.environ["ORDERS_READY_FD"]), b"ready\\n")
    if manner == "dies":
        sys.exit(4)
    while True:
        signal.pause()
    """
)
GIVE_UP_S = 10.0


class Floor:
    """The parts' shared notes, what the supervisor tells, and how to run it until `until` is told or forever."""

    def __init__(self, folder: Path) -> None:
        self.notes_file = folder / "notes"
        self.program = folder / "program.py"
        self.program.write_text(PROGRAM)
        self.told: list[str] = []
        self.warned: list[str] = []
        self.on_tell: Callable[[str], None] = lambda line: None

    def part(self, name: str, manner: str = "calm", stop_s: float = 5.0, *, at_once: bool = False) -> Part:
        argv = (sys.executable, "-I", "-S", str(self.program), name, str(self.notes_file), manner)
        return Part(name, argv, stop_s, at_once)

    def notes(self) -> list[str]:
        """Such as "api started", in the order in which it happened."""
        return [" ".join(line.split()[:2]) for line in self._lines()]

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[2]) for line in self._lines() if line.startswith(f"{name} started")]

    def _lines(self) -> list[str]:
        return self.notes_file.read_text().splitlines() if self.notes_file.exists() else []

    def run(
        self,
        *parts: Part,
        stop_order: tuple[str, ...] = (),
        database: FakeDatabase | None = None,
        prepare: Callable[[], None] = lambda: None,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        def tell(line: str) -> None:
            self.told.append(line)
            self.on_tell(line)

        def warn(line: str) -> None:
            self.warned.append(line)
            tell(line)

        order = stop_order or tuple(part.name for part in parts)
        guard = threading.Timer(GIVE_UP_S, stop_me)  # a run that nothing ends fails its test instead of hanging it
        guard.start()
        try:
            Supervisor(parts, order, database, tell, warn).run(prepare, started)
        finally:
            guard.cancel()


class FakeDatabase:
    def __init__(self, floor: Floor, *, failures: int = 0) -> None:
        self.floor = floor
        self.failures = failures
        self.runs = False
        self.said: list[str] = []

    def start(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self.said.append("start")
        if self.failures and len(self.said) > 1:
            self.failures -= 1
            raise PostgresNotStarted("PostgreSQL did not start: no space left on device")
        self.runs = True

    def stop(self) -> None:
        self.said.append(f"stop after {self.floor.notes()[-1]}" if self.floor.notes() else "stop")
        self.runs = False

    def poll(self) -> int | None:
        return None if self.runs else 1


def stop_me(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Floor]:
    """After a run that was told to stop the process ignores these signals: here it goes on."""
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.02)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    yield Floor(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_parts_start_after_the_database_and_stop_in_their_order_before_it(floor: Floor, number: signal.Signals) -> None:
    database = FakeDatabase(floor)
    steps: list[object] = []

    def prepare() -> None:
        steps.append(("prepared", list(database.said), floor.notes()))

    def started() -> None:
        steps.append(("started", sorted(floor.notes())))
        stop_me(number)

    parts = [floor.part(name) for name in ("exchange", "projector", "api")]
    floor.run(*parts, stop_order=("api", "projector", "exchange"), database=database, prepare=prepare, started=started)
    assert steps == [("prepared", ["start"], []), ("started", ["api started", "exchange started", "projector started"])]
    assert floor.notes()[3:] == ["api stopped", "projector stopped", "exchange stopped"]
    assert database.said == ["start", "stop after exchange stopped"]
    assert sorted(line.split(" (pid")[0] for line in floor.told) == [
        "started api",
        "started exchange",
        "started projector",
    ]


def test_a_part_that_fails_at_its_start_is_named_and_the_others_stop(floor: Floor) -> None:
    database = FakeDatabase(floor)
    with pytest.raises(PartFailed, match="api ended at its start with exit code 3"):
        floor.run(floor.part("exchange"), floor.part("api", "fails"), database=database)
    wait_until(lambda: all(has_ended(pid) for pid in floor.pids("exchange")), what="the other part to end")
    assert database.said[-1].startswith("stop")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_part_that_is_killed_at_its_start_is_started_again(floor: Floor) -> None:
    floor.run(floor.part("api", "killed once"), floor.part("adapter"), started=stop_me)
    assert floor.notes().count("api started") == 2
    assert "api ended with signal SIGKILL; starting it again" in floor.told


def test_a_part_that_never_says_that_it_is_ready_is_named(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_READY_S", 0.3)
    with pytest.raises(PartFailed, match=r"api was not ready within 0\.3 s"):
        floor.run(floor.part("exchange"), floor.part("api", "silent"))


def test_a_program_that_cannot_be_run_is_an_error_of_the_start(floor: Floor) -> None:
    with pytest.raises(ChildNotStarted, match="/no/such/program"):
        floor.run(floor.part("exchange"), Part("api", ("/no/such/program",), 1.0))
    assert all(has_ended(pid) for pid in floor.pids("exchange"))


def test_a_part_that_is_killed_is_started_again(floor: Floor) -> None:
    floor.on_tell = lambda line: stop_me() if " again (pid" in line else None
    floor.run(floor.part("api"), started=lambda: os.kill(floor.pids("api")[0], signal.SIGKILL))
    first, second, third = floor.told
    assert first.startswith("started api (pid ")
    assert second == "api ended with signal SIGKILL; starting it again"
    assert third.startswith("started api again (pid ")
    assert floor.warned == [second]


def test_a_part_that_dies_again_and_again_is_started_after_longer_and_longer_pauses(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SUPERVISOR_POLL_S", 0.01)
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.1)
    monkeypatch.setattr(module, "RESTART_MOST_S", 0.4)
    seen: list[tuple[float, str]] = []

    def note(line: str) -> None:
        seen.append((time.monotonic(), line))
        if sum(" again (pid" in told for told in floor.told) == 4:
            stop_me()

    floor.on_tell = note
    floor.run(floor.part("api", "dies"))
    ends = [at for at, line in seen if line == "api ended with exit code 4; starting it again"]
    starts = [at for at, line in seen if " again (pid" in line]
    pauses = [start - end for start, end in zip(starts, ends, strict=True)]
    assert [pause >= least for pause, least in zip(pauses, (0.09, 0.19, 0.39, 0.39), strict=True)] == [True] * 4


def test_a_steady_part_is_started_again_without_a_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    backoff = module._Backoff()
    for _ in range(20):
        backoff.began()
        backoff.ended()
    assert backoff.due_at == now + RESTART_MOST_S
    backoff.began()
    now += STEADY_S + 1
    backoff.ended()
    assert backoff.due_at == now + RESTART_FIRST_S


def test_a_part_that_ignores_sigterm_is_killed_in_its_time_and_the_others_still_stop(floor: Floor) -> None:
    parts = [floor.part("api", "stubborn", stop_s=0.2), floor.part("exchange")]
    floor.run(*parts, started=stop_me)
    assert "api did not stop in time and was killed; nothing accepted is lost" in floor.told
    assert all(has_ended(pid) for pid in floor.pids("api"))
    assert floor.notes()[-1] == "exchange stopped"


def test_a_part_that_is_told_at_once_ends_while_the_first_in_the_order_is_waited_for(floor: Floor) -> None:
    seen: list[str] = []
    floor.on_tell = lambda line: seen.extend(floor.notes() if "was killed" in line else ())
    parts = [floor.part("relay", at_once=True), floor.part("api", "stubborn", stop_s=1.5)]
    floor.run(*parts, stop_order=("api", "relay"), started=stop_me)
    assert seen[-1] == "relay stopped"
    assert floor.told[-1] == "api did not stop in time and was killed; nothing accepted is lost"


def test_a_signal_while_the_database_starts_ends_the_start(floor: Floor) -> None:
    class SlowDatabase(FakeDatabase):
        def start(self, *, stopping: Callable[[], bool] = lambda: False) -> None:
            stop_me()
            wait_until(stopping, what="to be told")
            raise StartAbandoned("PostgreSQL was told to stop")

    floor.run(floor.part("api"), database=SlowDatabase(floor), started=lambda: pytest.fail("it has not started"))
    assert floor.notes() == []


def test_a_signal_ends_the_wait_of_a_migration(floor: Floor) -> None:
    def wait_for_lock() -> None:
        stop_me()
        threading.Event().wait(GIVE_UP_S * 2)

    database = FakeDatabase(floor)
    began = time.monotonic()
    floor.run(floor.part("api"), database=database, prepare=wait_for_lock)
    assert time.monotonic() - began < GIVE_UP_S
    assert floor.notes() == []
    assert database.said == ["start", "stop"]


def test_a_signal_before_all_parts_are_ready_stops_those_that_run(floor: Floor) -> None:
    floor.run(floor.part("exchange"), floor.part("api", "tells"), started=lambda: pytest.fail("it has not started"))
    wait_until(lambda: all(has_ended(pid) for name in ("exchange", "api") for pid in floor.pids(name)))
    assert "api stopped" in floor.notes()


def test_the_same_signal_twice_within_moments_is_taken_calmly(floor: Floor) -> None:
    """The part sends the second one from within its own stop, which goes on all the same."""
    floor.run(floor.part("api", "repeats"), floor.part("exchange"), started=stop_me)
    assert floor.notes()[-2:] == ["api stopped", "exchange stopped"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    stop_me()  # a late third one: it would end this process


def test_a_signal_that_is_repeated_after_a_while_kills_at_once(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMPATIENT_S", 0.0)
    database = FakeDatabase(floor)
    began = time.monotonic()
    floor.run(floor.part("api", "insists", stop_s=60), database=database, started=stop_me)
    assert time.monotonic() - began < GIVE_UP_S - 1
    assert "api stopped" not in floor.notes()
    assert database.said[-1].startswith("stop")


def test_a_database_that_cannot_start_now_is_tried_until_it_can(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUPERVISOR_POLL_S", 0.01)
    database = FakeDatabase(floor, failures=2)

    def lose() -> None:
        database.runs = False

    def watch(line: str) -> None:
        if len(database.said) == 3 and "again" in line:
            threading.Timer(0.1, stop_me).start()

    floor.on_tell = watch
    floor.run(floor.part("api"), database=database, started=lose)
    assert database.said[:4] == ["start"] * 4
    assert floor.told.count("PostgreSQL did not start: no space left on device") == 2
    assert floor.notes() == ["api started", "api stopped"]


def test_ready_is_said_once_and_only_where_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FD, raising=False)
    say_ready()
    reader, writer = os.pipe()
    monkeypatch.setenv(READY_FD, str(writer))
    say_ready()
    say_ready()
    assert os.read(reader, 100) == b"ready\n"
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_run_leaves_no_descriptor_open(floor: Floor) -> None:
    before = psutil.Process().num_fds()
    floor.run(floor.part("api", "dies"), started=stop_me)
    assert psutil.Process().num_fds() == before
