"""PostgreSQL's programs, run as the account that may run them, with paths that this account can follow."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from order_service.child_processes import Account, Output, spawn
from order_service.errors import PostgresNotStarted
from order_service.postgres.account import can_pass
from order_service.postgres.binaries import binaries_for
from order_service.postgres.layout import Layout

# Where the copy goes if its account cannot reach the data folder. Root's alone, unlike the temporary folder.
SHARED_COPIES = Path("/var/cache/orders")
_ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"}  # C: we look for words in what they say


class Programs:
    """Use it as a context: a descriptor may be open until it ends. Programs that run by then go on.

    Where the account cannot pass the folders above the data (root's data under /root), the programs get the data's
    home as an open descriptor and name it /proc/self/fd/N: such a path starts at the folder itself, so that no
    parent's mode matters or has to change.
    """

    def __init__(self, layout: Layout, account: Account | None) -> None:
        self._layout = layout
        self.account = account
        reachable = account is None or can_pass(account, layout.home)
        self._home = None if reachable else os.open(layout.home, os.O_RDONLY | os.O_DIRECTORY)
        self._binaries = binaries_for(account, beside=layout.home if reachable else SHARED_COPIES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._home is not None:
            os.close(self._home)
            self._home = None

    def path(self, inside: Path) -> str:
        """How the programs name what lies inside the data's home."""
        if self._home is None:
            return str(inside)
        return f"/proc/self/fd/{self._home}/{inside.relative_to(self._layout.home)}"

    def spawn(
        self,
        program: str,
        *arguments: str,
        stdin: Output = subprocess.DEVNULL,
        stdout: Output,
        death_signal: signal.Signals = signal.SIGINT,
    ) -> subprocess.Popen[bytes]:
        return spawn(
            [self._binaries / program, *arguments],
            env=_ENVIRONMENT,
            death_signal=death_signal,
            account=self.account,
            cwd="/",
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            pass_fds=() if self._home is None else (self._home,),
        )

    def run(self, program: str, *arguments: str, timeout_s: float, text: str = "") -> None:
        """Runs it to its end with `text` as its input; PostgresNotStarted with what it said if it fails."""
        child = self.spawn(program, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            output, _ = child.communicate(text.encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise PostgresNotStarted(f"{program} took more than {timeout_s:.0f} s in {self._layout.home}") from None
        finally:
            if child.poll() is None:
                child.kill()
                child.communicate()
        if child.returncode != 0:
            reason = reason_in(output.decode(errors="replace")) or f"it ended with {child.returncode}"
            raise PostgresNotStarted(f"{program} failed in {self._layout.home}: {reason}")


def reason_in(output: str) -> str:
    """The last complaint in what a program said, without time and process."""
    for mark in ("PANIC: ", "FATAL: ", "ERROR: ", "error: "):
        for line in reversed(output.splitlines()):
            if mark in line:
                return line.partition(mark)[2].strip()
    return ""
