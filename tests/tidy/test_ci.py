"""CI, the hooks and the aliases run the make targets and nothing of their own."""

import os
import re
import subprocess

import pytest
import yaml

from tests.tidy.tree import ROOT, project_files

TARGETS = {"run", "test", "check", "bench", "load", "help", "lock", "fmt", "clean"}
WORKFLOWS = [path for path in project_files() if path.startswith(".github/workflows/")]
PINNED = re.compile(r"^[\w-]+/[\w./-]+@[0-9a-f]{40}$")


def documented_targets() -> dict[str, str]:
    text = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return dict(line.removeprefix("  make ").split(maxsplit=1) for line in text.splitlines())


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def test_make_help_names_every_target_with_a_line() -> None:
    assert set(documented_targets()) >= TARGETS


def test_there_is_a_workflow() -> None:
    assert WORKFLOWS


def test_a_workflow_runs_the_make_targets_on_every_supported_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["check"]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    packages = next(line for line in makefile().splitlines() if line.startswith("\t@requirements/debian "))
    assert commands == [packages.replace("\t@", "sudo "), "make check", "make test"]
    assert job["strategy"]["matrix"]["python-version"] == ["3.11", "3.12", "3.13"]


@pytest.mark.parametrize("path", WORKFLOWS)
def test_every_job_has_an_end(path: str) -> None:
    jobs = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["jobs"]
    assert [name for name, job in jobs.items() if not job["timeout-minutes"] <= 60] == []


@pytest.mark.parametrize("path", WORKFLOWS)
def test_a_workflow_pins_its_actions_to_a_commit(path: str) -> None:
    uses = re.findall(r"uses: (\S+)", (ROOT / path).read_text(encoding="utf-8"))
    assert uses
    assert [action for action in uses if not PINNED.match(action)] == []


def test_the_hooks_are_local_and_call_make() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    for hook in hooks:
        program, target = hook["entry"].split()
        assert (hook["language"], program) == ("system", "make")
        assert re.search(rf"^{target}:", makefile(), re.MULTILINE), f"make has no target {target}"


@pytest.mark.parametrize(("path", "target"), [("run", "run"), ("run_tests.sh", "test")])
def test_an_alias_only_calls_make(path: str, target: str) -> None:
    assert os.access(ROOT / path, os.X_OK)
    assert (ROOT / path).read_text(encoding="utf-8").splitlines()[-1] == f"exec make --no-print-directory {target}"


def test_ci_calls_check_and_then_test() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["make --no-print-directory check", "make --no-print-directory test"]
