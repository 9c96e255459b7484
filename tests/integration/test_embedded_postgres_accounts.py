"""As root and as anyone: who the server runs as, and folders that only root can read."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from order_service.child_processes import Account
from order_service.postgres import EmbeddedPostgres, locate_binaries, programs
from order_service.postgres.account import database_account
from order_service.postgres.binaries import binaries_for
from tests.support.postgres import copy_data_dir, passable_folder, value

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")

# Started by an ordinary user: makes, starts, asks, stops.
ORDINARY = """
import os, sys
from pathlib import Path
import psutil, psycopg
from order_service.child_processes import Account
from order_service.postgres import EmbeddedPostgres, running_url
data_dir = Path(sys.argv[1])
with EmbeddedPostgres(data_dir, durable=False) as server:
    assert running_url(data_dir) == server.url
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select current_user").fetchone() == ("orders",)
    print(os.geteuid(), psutil.Process(server.pid).uids().real)
"""


def run_as_ordinary_user(home: Path, data_dir: Path) -> str:
    """What ORDINARY says, run in an environment with hardly anything in it."""
    environment = {"HOME": str(home), "PATH": os.defpath}
    command = [sys.executable, "-c", ORDINARY, str(data_dir)]
    if account := database_account():
        os.chown(home, account.uid, account.gid)
        environment["PYTHONPATH"] = str(installation_for(account, home))
        command = [*switch_user(account), *command]
    result = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def installation_for(account: Account, home: Path) -> Path:
    """The site folder of a PostgreSQL that the account can run, as it would be in an installation of its own."""
    programs = binaries_for(account, beside=home)
    package = programs.parents[1]
    if not (package / "__init__.py").exists():
        (package / "__init__.py").touch()
        package.joinpath("__init__.py").chmod(0o644)
    return package.parent


def switch_user(account: Account) -> list[str]:
    """Makes root an ordinary user, who may read this Python wherever it is installed, but run no more than others."""
    who = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    return ["setpriv", *who, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def test_an_ordinary_user_runs_the_server_as_himself() -> None:
    with passable_folder() as home:
        server_user, our_user = run_as_ordinary_user(home, home / "data").split()
        assert server_user == our_user != "0"
        modes = [stat.S_IMODE((home / "data" / name).stat().st_mode) for name in ("", "postgres", "postgres/data")]
        assert modes == [0o700, 0o700, 0o700]


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that only root can pass, under others of that kind."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def closed_installation(closed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel as it lies in a virtual environment that only root can read."""
    install = locate_binaries().parent
    site, package = closed_folder / "clone/.venv/site-packages", install.parent
    shutil.copytree(install, site / package.name / install.name, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = f"{package.name}.libs"
    shutil.copytree(package.parent / libraries, site / libraries)
    (site / package.name / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(site))
    assert locate_binaries().is_relative_to(site)
    return site


def modes_above(folder: Path) -> dict[Path, int]:
    return {parent: stat.S_IMODE(parent.stat().st_mode) for parent in folder.resolve().parents}


def program_of(server: EmbeddedPostgres) -> Path:
    assert server.pid
    process = psutil.Process(server.pid)
    account = database_account()
    assert account
    assert set(process.uids()) == {account.uid}
    return Path(process.exe())


@needs_root
def test_binaries_that_only_root_can_read_are_copied_beside_the_data(closed_installation: Path) -> None:
    before = modes_above(closed_installation)
    with passable_folder() as folder:
        with EmbeddedPostgres(folder, durable=False) as server:
            assert value(server.url, "select 1") == 1
            program = program_of(server)
        assert program.is_relative_to(folder / "postgres")
        copied = program.stat()
        assert (copied.st_uid, stat.S_IMODE(copied.st_mode)) == (0, 0o755)

        with EmbeddedPostgres(folder) as server:
            assert program_of(server).stat().st_ino == copied.st_ino, "a whole copy is used again"

        os.truncate(program.with_name("initdb"), 100)
        with EmbeddedPostgres(folder) as server:
            assert program_of(server).stat().st_ino != copied.st_ino, "a damaged copy is made again"
        assert len(list((folder / "postgres").glob("*binaries-*"))) == 1
    assert modes_above(closed_installation) == before


@needs_root
def test_data_under_a_folder_that_only_root_can_pass_is_served_without_opening_it(closed_folder: Path) -> None:
    before = modes_above(closed_folder / "data")
    for _ in range(2):
        with EmbeddedPostgres(closed_folder / "data", durable=False) as server:
            assert value(server.url, "select 1") == 1
            program_of(server)
    assert modes_above(closed_folder / "data") == before
    assert before[closed_folder.resolve()] == 0o700


@needs_root
def test_data_and_binaries_may_both_lie_where_only_root_can_pass(
    closed_installation: Path, closed_folder: Path, first_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with passable_folder() as shared:
        monkeypatch.setattr(programs, "SHARED_COPIES", shared / "copies")
        with EmbeddedPostgres(copy_data_dir(first_data_dir, closed_folder / "data")) as server:
            assert value(server.url, "select 1") == 1
            assert program_of(server).is_relative_to(shared / "copies")


@needs_root
def test_users_of_one_machine_do_not_disturb_each_other(first_data_dir: Path) -> None:
    """Root's server and an ordinary user's, both with paths too long for a socket."""
    with passable_folder() as root, passable_folder() as home:
        long = "long-" * 20
        (root / long).mkdir()
        with EmbeddedPostgres(copy_data_dir(first_data_dir, root / long / "data")) as server:
            run_as_ordinary_user(home, home / long / "data")
            assert value(server.url, "select 1") == 1
