"""What requirements/debian does where packages are there or missing, and for whom it may install them."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.rabbitmq_node import SERVER

SCRIPT = Path(__file__).resolve().parents[2] / "requirements/debian"
TOOLS = "bash cat flock ln cp stat"
STANDS_IN = r"""#!/usr/bin/env bash
case "${0##*/} $*" in
  "id -u") cat "$MACHINE/user" ;;
  "apt-get "*install*)
    echo "$RUNLEVEL $*" >>"$MACHINE/calls"
    [[ -e $MACHINE/broken ]] || for package; do :; done
    [[ -e $MACHINE/broken ]] || cp "$0" "$MACHINE/bin/$package" ;;
esac
"""


@dataclass
class Machine:
    """Has bash, and stand-ins for the programs that are named."""

    folder: Path

    def has(self, *programs: str, user: str) -> None:
        (self.folder / "bin").mkdir()
        for tool in TOOLS.split():
            (self.folder / "bin" / tool).symlink_to(str(shutil.which(tool)))
        for program in (*programs, "id"):
            (self.folder / "bin" / program).write_text(STANDS_IN)
            (self.folder / "bin" / program).chmod(0o755)
        (self.folder / "user").write_text(f"{user}\n")
        (self.folder / "calls").touch()

    def install(self, *packages: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.fspath(self.folder / "bin"), "MACHINE": os.fspath(self.folder)}
        return subprocess.run(
            [script, *packages], env=environment, capture_output=True, text=True, timeout=20, check=False
        )

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_root_gets_what_is_missing_once_and_no_service_with_it(machine: Machine) -> None:
    machine.has("apt-get", "there", user="0")
    assert machine.install("there", "missing").returncode == 0
    assert machine.calls == ["1 -qq install -y --no-install-recommends missing"], "in runlevel 1 nothing is started"
    assert machine.install("there", "missing").stderr == ""
    assert len(machine.calls) == 1


@pytest.mark.parametrize(("programs", "user"), [(("apt-get",), "1000"), ((), "0")])
def test_who_may_not_install_is_told_in_one_line(machine: Machine, programs: tuple[str, ...], user: str) -> None:
    machine.has(*programs, user=user)
    outcome = machine.install("one", "two")
    assert outcome.returncode == 1
    assert outcome.stderr == "error: one two is missing. Install it (Debian: apt-get install one two).\n"


def test_a_rabbitmq_that_the_tests_do_not_find_does_not_count(machine: Machine) -> None:
    machine.has("rabbitmq-server", user="1000")
    script = machine.folder / "debian"
    script.write_text(SCRIPT.read_text().replace(os.fspath(SERVER.parent), os.fspath(machine.folder / "nowhere")))
    script.chmod(0o755)
    assert "rabbitmq-server is missing" in machine.install("rabbitmq-server", script=script).stderr
    assert machine.install("rabbitmq-server").returncode == (0 if SERVER.exists() else 1)


def test_an_installation_that_fails_ends_with_what_is_missing(machine: Machine) -> None:
    machine.has("apt-get", user="0")
    (machine.folder / "broken").touch()
    outcome = machine.install("one")
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1] == "error: one is missing. Install it (Debian: apt-get install one)."
