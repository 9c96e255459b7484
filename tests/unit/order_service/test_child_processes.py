"""Children: a session of their own, the account asked for, and an end with their parent."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

from order_service import child_exec
from order_service.child_processes import spawn
from order_service.errors import ChildNotStarted
from order_service.postgres.account import database_account
from tests.support.postgres import passable_folder
from tests.support.processes import has_ended
from tests.support.waiting import wait_until

ENVIRONMENT = {"PATH": os.defpath}
C_LIBRARY_SIGNALS = 0b11 << 31  # 32 and 33: glibc lets no program set them, and what make starts inherits them ignored
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take on another account")

# A parent that starts a child which writes the signal that ends it, then says so and waits for its own end.
PARENT = textwrap.dedent(
    """
    import os, signal, sys
    from order_service.child_processes import Account, spawn
    account = None if sys.argv[1] == "-" else Account(name="", uid=int(sys.argv[1]), gid=int(sys.argv[2]))
    child = '''trap 'echo USR1 > "$0"; exit' USR1; echo ready >&2; while :; do sleep 1 & wait; done'''
    spawned = spawn(["/bin/sh", "-c", child, sys.argv[3]], env={}, death_signal=signal.SIGUSR1, account=account)
    print(spawned.pid, flush=True)
    signal.pause()
    """
)


def finished(child: subprocess.Popen[bytes]) -> str:
    output, _ = child.communicate(timeout=10)
    assert child.returncode == 0, output
    return output.decode()


def status_of_child(field: str) -> str:
    child = spawn(["/bin/cat", "/proc/self/status"], env=ENVIRONMENT, stdout=subprocess.PIPE)
    return next(line.split()[1] for line in finished(child).splitlines() if line.startswith(f"{field}:"))


def test_a_child_has_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it() -> None:
    child = spawn(["/bin/sleep", "60"], env=ENVIRONMENT)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        child.kill()
        child.wait()


def test_a_child_is_its_program_when_spawn_returns() -> None:
    child = spawn(["/bin/sleep", "60"], env=ENVIRONMENT)
    try:
        assert psutil.Process(child.pid).name() == "sleep"
    finally:
        child.kill()
        child.wait()


def test_a_child_gets_exactly_the_environment_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PARENT", "1")
    output = finished(spawn(["/usr/bin/env"], env={"OF_THE_CHILD": "é", "LC_ALL": "C"}, stdout=subprocess.PIPE))
    assert output.splitlines() == ["OF_THE_CHILD=é", "LC_ALL=C"]


@pytest.mark.parametrize("field", ["SigIgn", "SigBlk"])
def test_a_child_ignores_and_blocks_no_signal(field: str) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    handled = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        assert int(status_of_child(field), 16) & ~C_LIBRARY_SIGNALS == 0
    finally:
        signal.signal(signal.SIGQUIT, handled)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ChildNotStarted, match="/no/such/program could not be started: No such file"):
        spawn(["/no/such/program"], env=ENVIRONMENT)


def test_only_the_main_thread_starts_children() -> None:
    refused: list[RuntimeError] = []

    def in_a_thread() -> None:
        try:
            spawn(["/bin/true"], env=ENVIRONMENT)
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert len(refused) == 1


def killed_parent(file: Path, uid: str, gid: str) -> int:
    """Kills a parent by kill -9 once its child is ready, and returns the child's pid."""
    command = [sys.executable, "-c", PARENT, uid, gid, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stderr
        pid = int(parent.stdout.readline())
        assert parent.stderr.readline() == b"ready\n"
        parent.kill()
    return pid


def test_a_child_gets_its_death_signal_when_the_parent_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "signal"
    child = killed_parent(file, "-", "-")
    assert wait_until(lambda: file.exists() and file.read_text(), what="the child's word") == "USR1\n"
    wait_until(lambda: has_ended(child), what="the child's end")


@needs_root
def test_the_death_signal_outlives_the_change_of_the_account() -> None:
    account = database_account()
    assert account
    with passable_folder() as folder:
        os.chown(folder, account.uid, account.gid)
        file = folder / "signal"
        killed_parent(file, str(account.uid), str(account.gid))
        assert wait_until(lambda: file.exists() and file.read_text(), what="the child's word") == "USR1\n"
        assert file.stat().st_uid == account.uid


@needs_root
def test_a_child_keeps_no_group_of_root_even_in_a_folder_that_it_may_not_read(tmp_path: Path) -> None:
    account = database_account()
    command = ["/bin/sh", "-c", "id -u; id -g; id -G"]
    output = finished(spawn(command, env=ENVIRONMENT, account=account, cwd=tmp_path, stdout=subprocess.PIPE))
    assert account
    assert output.splitlines() == [str(account.uid), str(account.gid), str(account.gid)]


def test_a_child_whose_parent_is_gone_already_ends_by_the_signal() -> None:
    somebody_else = 1
    report, report_end = os.pipe()
    command = [sys.executable, "-I", "-S", child_exec.__file__, str(somebody_else), str(int(signal.SIGUSR2))]
    with subprocess.Popen([*command, "-", str(report_end), "/bin/sleep", "60"], pass_fds=[report_end]) as child:
        assert child.wait(10) == -signal.SIGUSR2
    os.close(report)
    os.close(report_end)
