"""What `make` and the installation do on a machine that has nothing yet, and when they are interrupted."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bare_machine import BareMachine, Started
from tests.support.waiting import wait_until

WARM_S = 0.3  # what the installation may add to a start that finds everything in place


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[BareMachine]:
    bare = BareMachine(tmp_path)
    yield bare
    bare.end()


def test_the_first_start_installs_what_is_locked_with_hashes_and_nothing_else(machine: BareMachine) -> None:
    assert machine.install("run").returncode == 0
    installs = [call for call in machine.calls() if " install " in call]
    assert [call.split()[0] for call in installs] == ["python", "uv", "uv"]
    assert all("--require-hashes --requirement requirements/" in call for call in installs[:2])
    assert "--no-deps --no-build-isolation --editable ." in installs[2]


def test_a_warm_start_installs_nothing_and_takes_no_time(machine: BareMachine) -> None:
    machine.install("run")
    machine.calls()
    began = time.monotonic()
    outcome = machine.install("run")
    assert time.monotonic() - began < WARM_S
    assert (outcome.stdout, outcome.stderr, machine.calls()) == ("", "", [])


def test_the_development_lock_serves_a_start_too(machine: BareMachine) -> None:
    machine.install("dev")
    machine.calls()
    machine.install("run")
    assert machine.calls() == []


@pytest.mark.parametrize("path", ["requirements/run.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(machine: BareMachine, path: str) -> None:
    machine.install("run")
    machine.calls()
    with (machine.clone / path).open("a") as file:
        file.write("# changed\n")
    machine.install("run")
    assert any(" install " in call for call in machine.calls())
    machine.install("run")
    assert machine.calls() == []


def test_a_moved_clone_is_installed_again(machine: BareMachine) -> None:
    machine.install("run")
    machine.calls()
    machine.clone = machine.clone.rename(machine.folder / "elsewhere")
    machine.install("run")
    assert any("--editable ." in call for call in machine.calls())


def test_another_interpreter_behind_the_environment_is_noticed(machine: BareMachine) -> None:
    machine.install("run")
    machine.calls()
    newer = shutil.copy(machine.folder / "bin/python3", machine.folder / "bin/python3.14")
    python = machine.clone / ".venv/bin/python"
    python.unlink()
    python.symlink_to(newer)
    machine.install("run")
    assert any(" install " in call for call in machine.calls())


def test_what_was_installed_before_a_change_does_not_count_when_the_change_is_taken_back(machine: BareMachine) -> None:
    machine.install("dev")
    project = machine.clone / "pyproject.toml"
    before = project.read_text()
    project.write_text(f"{before}# changed\n")
    machine.install("run")
    project.write_text(before)
    machine.calls()
    machine.install("dev")
    assert any(" install " in call for call in machine.calls())


def test_a_vanished_interpreter_makes_a_new_environment(machine: BareMachine) -> None:
    machine.install("run")
    (machine.clone / ".venv/bin/python").unlink()
    machine.calls()
    assert machine.install("run").returncode == 0
    assert any("-m venv" in call for call in machine.calls())


@pytest.mark.parametrize("failure", ["uv-fetch", "uv"])
def test_pip_does_the_work_where_uv_cannot(machine: BareMachine, failure: str) -> None:
    outcome = machine.install("run", FAIL=failure)
    assert outcome.returncode == 0
    assert [call for call in machine.calls() if call.startswith("python -m pip") and "--editable ." in call]
    assert "pip tries" in outcome.stderr


def test_a_failed_installation_says_so_and_is_made_anew_by_the_next_call(machine: BareMachine) -> None:
    outcome = machine.install("run", FAIL="uv pip")
    assert outcome.returncode != 0
    assert "error: the requirements could not be installed" in outcome.stderr
    machine.calls()
    assert machine.install("run").returncode == 0
    assert any("-m venv" in call for call in machine.calls())


@pytest.mark.parametrize("stage", ["venv", "uv"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_installation_leaves_no_process_and_is_repaired(
    machine: BareMachine, stage: str, number: signal.Signals
) -> None:
    started = machine.start("make", "run", HANG=stage)
    wait_until(lambda: any(call.startswith("pid ") for call in machine.calls()), what=f"{stage} to hang")
    os.killpg(started.process.pid, number)
    assert started.ended() != 0
    wait_until(started.group_is_gone, what="every process to end")
    machine.calls()
    assert machine.install("run").returncode == 0
    assert any("-m venv" in call for call in machine.calls())


def test_sigterm_to_make_alone_ends_the_installation(machine: BareMachine) -> None:
    started = machine.start("make", "run", HANG="uv")
    wait_until(lambda: any(call.startswith("pid ") for call in machine.calls()), what="uv to hang")
    started.process.terminate()
    assert started.ended() != 0
    wait_until(started.group_is_gone, what="every process to end")


def test_a_kill_in_the_middle_is_repaired(machine: BareMachine) -> None:
    machine.start("make", "run", HANG="uv")
    wait_until(lambda: any(call.startswith("pid ") for call in machine.calls()), what="uv to hang")
    machine.end()
    assert machine.install("run").returncode == 0
    assert any("-m venv" in call for call in machine.calls())


def test_two_calls_at_once_install_once(machine: BareMachine) -> None:
    first, second = machine.start("make", "install-dev"), machine.start("make", "install-dev")
    assert (first.ended(), second.ended()) == (0, 0)
    assert len([call for call in machine.calls() if "-m venv" in call]) == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("old", "error: Python 3.9.2 is too old. Install Python 3.11 or newer."),
        ("venv", "error: python3 has no venv module. Install it (Debian: apt-get install python3-venv)."),
    ],
)
def test_a_python_that_will_not_do_is_named_in_one_line(machine: BareMachine, failure: str, said: str) -> None:
    outcome = machine.install("run", FAIL=failure)
    assert outcome.returncode != 0
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [said]
    assert not (machine.clone / ".venv").exists()


def test_a_missing_python_is_named_in_one_line(machine: BareMachine) -> None:
    machine.without_python()
    outcome = machine.install("run")
    assert outcome.returncode != 0
    assert "error: python3 is missing." in outcome.stderr


def test_another_environment_does_not_leak_in(machine: BareMachine) -> None:
    started = machine.start("make", "run", VIRTUAL_ENV="/elsewhere", PYTHONPATH="/elsewhere", PYTHONHOME="/elsewhere")
    assert started.wait_for("up ").split()[2:] == ["up"]


def is_quiet(started: Started) -> bool:
    """Whether make said nothing after the service stopped, or no more than its one line."""
    after = started.output().split("stopped by ", 1)[1].splitlines()[1:]
    return len(after) <= 1 and all(line.startswith("make: ***") for line in after)


@pytest.mark.parametrize("command", ["make run", "./run"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_group_stops_the_service(machine: BareMachine, command: str, number: signal.Signals) -> None:
    started = machine.start(*command.split())
    started.wait_for("up ")
    os.killpg(started.process.pid, number)
    started.ended()
    assert started.wait_for("stopped by") == f"stopped by {number.name}"
    assert started.group_is_gone()
    assert is_quiet(started), started.output()


def test_sigterm_to_make_alone_stops_the_service(machine: BareMachine) -> None:
    started = machine.start("make", "run")
    started.wait_for("up ")
    started.process.terminate()
    started.ended()
    assert started.wait_for("stopped by") == "stopped by SIGTERM"
    assert started.group_is_gone()
    assert is_quiet(started), started.output()


def test_the_machine_is_what_it_says(machine: BareMachine) -> None:
    assert shutil.which("python3", path=machine.environment["PATH"]) == str(machine.folder / "bin/python3")
    assert shutil.which("python3.11", path=machine.environment["PATH"]) is None
