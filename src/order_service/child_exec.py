"""Becomes another program that ends with its parent. Run by `child_processes.spawn`, never by hand.

It runs as a file, with no package and no site folder, so it imports the standard library only. A program of its own
because the kernel clears the parent-death signal on a change of user: it has to be set in the child, after that change
and before the exec. The alternative, `preexec_fn`, runs Python between fork and exec of a process with threads, which
may deadlock and which Python 3.12 warns of. This one costs about 20 ms a start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # prctl(2)
NOT_STARTED = 127  # the exit code of shells for a command that cannot be run
KEEP_ACCOUNT = "-"


def die_with_parent(death_signal: int, *, parent_pid: int) -> None:
    """From now on `death_signal` comes to this process when the thread that started it ends; on Linux only.

    `parent_pid` is whom the caller believes to be its parent: if that one has ended before this call, no signal would
    ever come, so the process sends it to itself. A change of user and an exec of a set-user-id program clear the
    setting. Where there is no prctl it does nothing.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), death_signal)


def _take_account(account: str) -> None:
    if account == KEEP_ACCOUNT:
        return
    uid, gid = (int(part) for part in account.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _restore_signals() -> None:
    """What Python set for itself, or the parent ignored or blocked, is not handed on: a shell without job control
    starts what runs in its background with SIGINT and SIGQUIT ignored."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def main(arguments: Sequence[str]) -> int:
    """`PARENT_PID DEATH_SIGNAL UID:GID|- REPORT_FD PROGRAM ARGUMENT...`; returns only if the program cannot be run."""
    parent_pid, death_signal, account, report, *argv = arguments
    os.set_inheritable(int(report), False)  # closed by a successful exec: the parent reads the end of the file
    try:
        _restore_signals()
        _take_account(account)
        die_with_parent(int(death_signal), parent_pid=int(parent_pid))
        os.execv(argv[0], argv)
    except (OSError, OverflowError) as error:
        os.write(int(report), str(getattr(error, "strerror", None) or error).encode())
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
