"""The command line as a whole: help, exit codes, completion, and how fast it answers."""

import os
import signal
import subprocess
import sys

import pytest

from order_service import errors as e
from order_service.cli.program import COMMANDS, EXIT_CODES, exit_code
from tests.support.running_service import ROOT
from tests.support.scripted_api import ScriptedApi
from tests.unit.order_service.cli.conftest import Run

HEAVY = ("litestar", "httpx", "psycopg", "msgspec", "rich", "websockets", "granian")


def python(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout


def test_help_lists_every_command_and_imports_none_of_their_libraries() -> None:
    code = f"""
import sys
sys.argv = ["orders", "--help"]
from order_service.cli import main
try:
    main()
except SystemExit:
    print([name for name in {HEAVY} if name in sys.modules])
"""
    said = python(code)
    assert said.endswith("[]\n")
    for name in COMMANDS:
        assert f"\n  {name} " in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert done.exit_code == 0
    assert f"Usage: orders {name}" in done.stdout


def test_reads_take_json(run: Run) -> None:
    for name in ("show", "list", "watch", "doctor", "verify", "place", "cancel", "replace"):
        assert "--json" in run(name, "--help").stdout, name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (e.ServiceError(), 1),
        (e.RefusedError(), 1),
        (e.PartFailed(), 1),
        (e.AddressInUse(), 1),
        (e.SettingsError([]), 2),
        (e.WrongRequestError(), 2),
        (e.NotFoundError(), 3),
        (e.ConflictError(), 4),
        (e.UnreachableError(), 5),
    ],
)
def test_every_kind_of_error_has_the_contracts_exit_code(error: e.ServiceError, code: int) -> None:
    assert exit_code(error) == code
    assert set(EXIT_CODES.values()) == {2, 3, 4, 5}


def test_every_wrong_setting_has_its_own_line(run: Run) -> None:
    done = run("list", ENVIRONMENT="prod", PARK_AFTER_ATTEMPTS="0")
    assert done.exit_code == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ENVIRONMENT: ")
    assert second.startswith("error: PARK_AFTER_ATTEMPTS: ")


def test_an_unknown_command_is_wrong_use(run: Run) -> None:
    done = run("plcae")
    assert done.exit_code == 2
    assert "plcae" in done.stderr


def test_a_reader_that_goes_away_is_no_error(api: ScriptedApi) -> None:
    api.answers(200, [{"order_id": "x" * 100_000} for _ in range(20)])
    command = [sys.executable, "-m", "order_service", "list", "--json"]
    environment = {**os.environ, "BASE_URL": api.url}
    process = subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(10) == 0


def test_the_shell_completes_commands_and_options() -> None:
    environment = {"_ORDERS_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    code = "from order_service.cli import main; main()"
    assert completed(code, **environment, COMP_WORDS="orders wa") == "plain,watch\n"
    assert completed(code, **environment, COMP_WORDS="orders --ver") == "plain,--version\n"
    assert completed(code, **{**environment, "COMP_CWORD": "2"}, COMP_WORDS="orders show --j") == "plain,--json\n"


def completed(code: str, **environment: str) -> str:
    return python(f"import sys; sys.argv = ['orders']\n{code}", **environment)


def test_ctrl_c_before_a_command_has_begun_leaves_no_traceback() -> None:
    code = """
import os, signal, sys
from order_service import cli
from importlib.abc import MetaPathFinder
class Interrupts(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "order_service.cli.program":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
cli.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == -signal.SIGINT
    assert ended.stderr == ""
