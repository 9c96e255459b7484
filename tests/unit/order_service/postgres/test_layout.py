"""Paths, modes and words, as far as they can be judged without a server."""

import os
import stat
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from order_service.bounds import MAX_SOCKET_PATH_BYTES
from order_service.child_processes import Account
from order_service.errors import BinariesNotFound
from order_service.postgres import locate_binaries
from order_service.postgres.account import can_pass, can_read
from order_service.postgres.layout import layout_of, service_url
from order_service.postgres.postmaster import Postmaster, read_postmaster, runs_on
from order_service.postgres.programs import reason_in
from order_service.postgres.socket_folder import prepare_socket_folder, remove_socket_folder
from tests.support.postgres import passable_folder

STRANGER = Account(name="stranger", uid=54321, gid=54321)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "postgres").mkdir()
    return tmp_path / "postgres"


def test_the_url_survives_a_folder_with_odd_characters(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "a b&c=d%20?é")
    layout.socket.mkdir(parents=True)
    layout.password_file.write_text("secret\n")
    parts = conninfo_to_dict(layout.url())
    assert parts["host"] == str(layout.socket)
    assert (parts["user"], parts["password"], parts["dbname"]) == ("orders", "secret", "orders")


def test_the_url_of_the_parts_shows_nothing_of_the_owners_password_and_is_its_own(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.socket.mkdir(parents=True)
    layout.password_file.write_text("secret\n")
    url = service_url(layout.url())
    parts = conninfo_to_dict(url)
    assert (parts["user"], parts["dbname"]) == ("orders_service", "orders")
    assert "secret" not in url
    assert service_url(url) == url


def test_a_socket_lies_in_the_data_folder_where_its_path_is_short_enough() -> None:
    with passable_folder() as folder:
        layout = layout_of(folder)
        layout.home.mkdir()
        assert prepare_socket_folder(layout, None) == layout.socket
        assert not layout.socket.is_symlink()


@pytest.mark.parametrize("name", ["x" * MAX_SOCKET_PATH_BYTES, "ö" * (MAX_SOCKET_PATH_BYTES // 2), "a,b"])
def test_else_it_lies_in_a_private_folder_that_clients_find_again_until_it_is_removed(
    tmp_path: Path, name: str
) -> None:
    layout = layout_of(tmp_path / name)
    layout.home.mkdir(parents=True)
    first = prepare_socket_folder(layout, None)
    assert len(os.fsencode(first)) < MAX_SOCKET_PATH_BYTES
    assert (layout.socket.readlink(), stat.S_IMODE(first.stat().st_mode)) == (first, 0o700)
    (first / ".s.PGSQL.5432.lock").touch()  # left by a killed server
    assert prepare_socket_folder(layout, None) == first
    assert not list(first.iterdir())
    remove_socket_folder(layout)
    assert not first.exists()
    assert not layout.socket.is_symlink()


def test_a_private_folder_that_somebody_else_may_have_made_is_not_used(tmp_path: Path) -> None:
    layout = layout_of(tmp_path / "a,b")
    layout.home.mkdir(parents=True)
    first = prepare_socket_folder(layout, None)
    first.chmod(0o777)
    assert prepare_socket_folder(layout, None) != first
    remove_socket_folder(layout)


def test_a_folder_that_is_not_ours_is_never_removed_through_the_link(home: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (home / "socket").symlink_to(foreign)
    remove_socket_folder(layout_of(home.parent))
    assert foreign.exists()


@pytest.mark.parametrize(("mode", "passes"), [(0o711, True), (0o755, True), (0o700, False), (0o744, False)])
def test_a_folder_is_passed_by_its_execute_bit_for_others(mode: int, passes: bool) -> None:
    with passable_folder() as folder:
        inner = folder / "above" / "inner"
        inner.mkdir(parents=True)
        inner.chmod(0o755)
        inner.parent.chmod(mode)
        assert can_pass(STRANGER, inner) is passes
        assert can_pass(Account(name="owner", uid=os.getuid(), gid=os.getgid()), inner)


@pytest.mark.parametrize(("mode", "reads"), [(0o644, True), (0o755, True), (0o640, False), (0o744, False)])
def test_a_program_that_others_may_not_run_does_not_count_as_readable(mode: int, reads: bool) -> None:
    with passable_folder() as folder:
        file = folder / "program"
        file.touch()
        file.chmod(mode)
        assert can_read(STRANGER, file) is reads
        assert not can_read(STRANGER, folder / "missing")


def test_the_programs_are_found_without_importing_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (locate_binaries() / "initdb").is_file()
    monkeypatch.setattr("order_service.postgres.binaries._PACKAGE", "no_such_package")
    with pytest.raises(BinariesNotFound, match="set DATABASE_URL"):
        locate_binaries()


@pytest.mark.parametrize("text", ["", "\n", "not a number\n/data\n"])
def test_a_torn_pid_file_is_no_server(tmp_path: Path, text: str) -> None:
    assert read_postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text(text)
    assert read_postmaster(tmp_path) is None


def test_a_pid_file_says_who_and_how_far(tmp_path: Path) -> None:
    lines = ["4711", "/data", "1795225448", "5432", "/socket", "", "16074178 17", "ready   "]
    for count, status in ((1, ""), (8, "ready")):
        (tmp_path / "postmaster.pid").write_text("\n".join(lines[:count]))
        assert read_postmaster(tmp_path) == Postmaster(pid=4711, status=status)


def test_a_process_that_is_no_postgresql_or_of_another_folder_does_not_run_on_this_one(tmp_path: Path) -> None:
    assert not runs_on(Postmaster(pid=os.getpid(), status="ready"), tmp_path)
    assert not runs_on(Postmaster(pid=2**22 + 1, status="ready"), tmp_path)


def test_the_reason_is_the_last_and_worst_complaint() -> None:
    said = "2026 [1] LOG:  starting\n2026 [1] ERROR:  first\n2026 [1] FATAL:  no space left\n2026 [1] LOG:  shut down\n"
    assert reason_in(said) == "no space left"
    assert reason_in("initdb: error: could not create directory\n") == "could not create directory"
    assert reason_in("nothing special") == ""
