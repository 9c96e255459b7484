"""A machine that has make, bash and a Python of our own writing and nothing else, to see what `make` does on it.

The stand-in for Python makes a .venv whose tools are itself, "installs" by writing a stand-in for `orders`, and keeps a
list of its calls. FAIL names what goes wrong: `old`, `venv`, `uv-fetch`, `uv`, `pip`; HANG what never ends: `venv` or
`uv`.
"""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TOOLS = "bash cat cmp cp dirname env flock getconf ln make mkdir readlink rm sleep"
LOCKS = [f"requirements/{name}.txt" for name in ("run", "dev", "uv")]
COPIED = ("Makefile", "run", "pyproject.toml", "requirements/install", *LOCKS)
STOP_S = 5.0  # a stand-in stops at once; the rest is a slow machine

PYTHON = r"""#!/usr/bin/env bash
call="${0##*/} $*"
echo "$call" >>"$CALLS"
fails() { [[ " ${FAIL:-} " == *" $1 "* ]]; }
hangs() { [[ " ${HANG:-} " != *" $1 "* ]] || { echo "pid $$" >>"$CALLS"; exec sleep 60; }; }
case $call in
  *version_info*) ! fails old ;;
  *--version) echo "Python 3.9.2" ;;
  *ensurepip*) ! fails venv ;;
  *"-m venv "*) mkdir -p .venv/bin && ln -s "$0" .venv/bin/python && hangs venv ;;
  *"-m pip install "*uv.txt) ! fails uv-fetch && cp "$0" .venv/bin/uv ;;
  "uv pip install "*) ! fails uv && hangs uv && cp "$ORDERS" .venv/bin/orders ;;
  *"-m pip install "*) ! fails pip && cp "$ORDERS" .venv/bin/orders ;;
  *) exit 64 ;;
esac
"""

# Not by a first line naming the interpreter: its path may hold a space.
ORDERS = f"""#!/usr/bin/env bash
exec '{sys.executable}' -I "$SERVICE" "$@"
"""
SERVICE = """
import os, signal, sys, time
signals = (signal.SIGTERM, signal.SIGINT)
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
names = [name for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME") if name in os.environ]
print("up", os.getpid(), *sys.argv[1:], *names, flush=True)
number = signal.sigwait(signals)
time.sleep(0.1)  # a service takes a moment to stop; where a child dies before make sees its own signal, make 4.3 errs
print("stopped by", signal.Signals(number).name, flush=True)
"""


@dataclass
class BareMachine:
    """A clone in a folder of its own, and the commands to try on it."""

    folder: Path
    clone: Path = field(init=False)
    environment: dict[str, str] = field(init=False)
    _seen: int = 0
    _started: list["Started"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clone = self.folder / "a clone"
        (self.clone / "requirements").mkdir(parents=True)
        for name in COPIED:
            shutil.copy(ROOT / name, self.clone / name)
        programs = self.folder / "bin"
        programs.mkdir()
        for tool in TOOLS.split():
            if found := shutil.which(tool):
                (programs / tool).symlink_to(found)
        self._write(programs / "python3", PYTHON)
        self._write(self.folder / "orders", ORDERS)
        self._write(self.folder / "service.py", SERVICE)
        self.environment = {
            "PATH": str(programs),
            "HOME": str(self.folder),
            "CALLS": str(self.folder / "calls"),
            "ORDERS": str(self.folder / "orders"),
            "SERVICE": str(self.folder / "service.py"),
        }

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def without_python(self) -> None:
        (self.folder / "bin/python3").unlink()

    def calls(self) -> list[str]:
        """What Python, pip and uv were called with since the last look."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        new, self._seen = lines[self._seen :], len(lines)
        return new

    def install(self, lock: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["make", f"install-{lock}"]
        return subprocess.run(
            command, cwd=self.clone, env=self.environment | environment, capture_output=True, text=True, check=False
        )

    def start(self, *command: str, **environment: str) -> "Started":
        log = self.folder / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command,
                cwd=self.clone,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(Started(process, log))
        return self._started[-1]

    def end(self) -> None:
        """Kills what is left of everything that was started."""
        for started in self._started:
            if not started.group_is_gone():
                os.killpg(started.process.pid, signal.SIGKILL)
            started.ended()


@dataclass
class Started:
    """A command that runs in a session of its own, as a shell in a terminal would start it."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, *, within_s: float = 10.0) -> str:
        """The first line of the output that holds the text."""
        return wait_until(
            lambda: next((line for line in self.output().splitlines() if text in line), ""),
            within_s=within_s,
            what=f"{text!r} in {self.output()!r}",
        )

    def ended(self) -> int:
        return self.process.wait(STOP_S)

    def group_is_gone(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False
