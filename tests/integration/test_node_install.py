"""What requirements/node/install does where Node.js is there, old, or missing, and when it is interrupted."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("install", "package.json", "package-lock.json", ".npmrc")
TOOLS = "bash cat cmp dirname flock mkdir rm ln cp"
STANDS_IN = r"""#!/usr/bin/env bash
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in
  "node --version") cat "$MACHINE/version" ;;
  "npm ci "*) rm -rf "$3/node_modules"; mkdir "$3/node_modules"; [[ ! -e $MACHINE/broken ]] ;;
  "id -u") cat "$MACHINE/user" ;;
  "apt-get "*install*) cp "$MACHINE/stand-in" "$MACHINE/bin/node"; cp "$MACHINE/stand-in" "$MACHINE/bin/npm" ;;
esac
"""


@dataclass
class Machine:
    """Has bash, and stand-ins for the programs that are named."""

    folder: Path

    def has(self, *programs: str, version: str = "v18.20.4", user: str = "0") -> None:
        (self.folder / "bin").mkdir()
        for tool in TOOLS.split():
            (self.folder / "bin" / tool).symlink_to(str(shutil.which(tool)))
        (self.folder / "stand-in").write_text(STANDS_IN)
        (self.folder / "stand-in").chmod(0o755)
        for program in (*programs, "id"):
            shutil.copy(self.folder / "stand-in", self.folder / "bin" / program)
        (self.folder / "version").write_text(f"{version}\n")
        (self.folder / "user").write_text(f"{user}\n")
        (self.folder / "node").mkdir()
        for name in FILES:
            shutil.copy(ROOT / "requirements/node" / name, self.folder / "node" / name)

    def install(self, *command: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "calls").write_text("")
        environment = {
            "PATH": os.fspath(self.folder / "bin"),
            "CALLS": os.fspath(self.folder / "calls"),
            "MACHINE": os.fspath(self.folder),
        }
        program = [os.fspath(self.folder / "node/install"), *command]
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=20, check=False)

    def calls(self, of: str) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if line.startswith(of)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_checkers_are_installed_once_and_the_command_follows(machine: Machine) -> None:
    machine.has("node", "npm")
    first = machine.install("node", "check.mjs")
    assert first.returncode == 0, first.stderr
    assert len(machine.calls("npm ci")) == 1
    assert machine.calls("node check.mjs")
    assert machine.install("node", "check.mjs").stderr == ""
    assert not machine.calls("npm")


@pytest.mark.parametrize("change", ["lock", "node", "interrupted"])
def test_another_lock_or_node_or_half_an_installation_is_installed_again(machine: Machine, change: str) -> None:
    machine.has("node", "npm")
    machine.install()
    match change:
        case "lock":
            (machine.folder / "node/package-lock.json").write_text("{}")
        case "node":
            (machine.folder / "version").write_text("v20.20.2\n")
        case "interrupted":
            (machine.folder / "broken").touch()
            (machine.folder / "node/.npmrc").write_text("")
            failed = machine.install("node", "check.mjs")
            assert failed.returncode == 1
            assert "error: the checkers could not be installed" in failed.stderr
            assert not machine.calls("node check.mjs")
            (machine.folder / "broken").unlink()
    assert machine.install().returncode == 0
    assert len(machine.calls("npm ci")) == 1


def test_root_gets_a_missing_node_from_debian(machine: Machine) -> None:
    machine.has("apt-get")
    assert machine.install("node", "check.mjs").returncode == 0
    assert [call.rpartition(" ")[0] for call in machine.calls("apt-get -qq install")] == [
        "apt-get -qq install -y --no-install-recommends nodejs"
    ]
    assert machine.calls("node check.mjs")


@pytest.mark.parametrize(
    ("programs", "version", "said"),
    [
        ((), "", "node or npm is missing. Install Node.js 18 or newer (Debian: apt-get install nodejs npm)."),
        (("apt-get",), "", "node or npm is missing. Install Node.js 18 or newer (Debian: apt-get install nodejs npm)."),
        (("node", "npm"), "v16.1.0", "node v16.1.0 is too old. Install Node.js 18 or newer."),
    ],
)
def test_a_node_that_will_not_do_is_named_in_one_line_and_nothing_is_skipped(
    machine: Machine, programs: tuple[str, ...], version: str, said: str
) -> None:
    machine.has(*programs, version=version, user="1000")
    outcome = machine.install("node", "check.mjs")
    assert (outcome.returncode, outcome.stderr) == (1, f"error: {said}\n")
