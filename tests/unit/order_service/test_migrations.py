"""Which files are migrations, what is wrong with them before a database is asked, and one that does not answer."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from order_service.errors import UnreachableError, WrongMigrationFiles
from order_service.migrations import pending, read_migrations
from orders.eventstore.connections import BoundedConnection

LOGGED_IN = b"R" + struct.pack(">II", 8, 0) + b"Z" + struct.pack(">I", 5) + b"I"
"""AuthenticationOk and ReadyForQuery of PostgreSQL's protocol."""


@pytest.fixture
def mute() -> Iterator[str]:
    """The URL of a server that lets everybody in, and then says nothing, as a pooler does whose database is away."""
    clients: list[socket.socket] = []

    def let_in(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                clients.append(client)
                client.recv(4096)
                client.sendall(LOGGED_IN)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=let_in, args=(listening,))
        thread.start()
        yield f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/d?sslmode=disable&gssencmode=disable"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in clients:
            client.close()


def test_a_server_that_lets_in_and_says_nothing_more_is_not_waited_for_for_ever(
    mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "answer_within_s", 0.1)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        pending(mute)


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(f"select '{name}';")
    return folder


def test_the_files_are_read_by_number_and_others_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, "0010_c.sql", "0002_b.sql", "0001_a.sql", "bookkeeping.sql", "__init__.py")
    assert [(each.number, each.name) for each in read_migrations(tmp_path)] == [
        (1, "0001_a.sql"),
        (2, "0002_b.sql"),
        (10, "0010_c.sql"),
    ]


@pytest.mark.parametrize("name", ["1_a.sql", "0001-a.sql", "0001_A.sql", "0001_a.sql.orig", "0001_a"])
def test_a_name_that_is_nearly_right_is_refused_rather_than_passed_over(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongMigrationFiles, match=name):
        read_migrations(written(tmp_path, name))


def test_two_files_of_one_number_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(WrongMigrationFiles, match=r"0001_a\.sql and 0001_b\.sql"):
        read_migrations(written(tmp_path, "0001_a.sql", "0001_b.sql"))


def test_line_ends_do_not_change_a_checksum_and_anything_else_does(tmp_path: Path) -> None:
    checksums = []
    for text in (b"select 1;\n", b"select 1;\r\n", b"select 1; \n"):
        (tmp_path / "0001_a.sql").write_bytes(text)
        checksums += [each.sha256 for each in read_migrations(tmp_path)]
    assert checksums[0] == checksums[1] != checksums[2]


def test_the_service_s_own_files_are_found_where_they_are_installed() -> None:
    assert read_migrations()[0].name == "0001_event_log.sql"
