"""Connections to a server that takes them and says nothing, as a frozen one does: none stays open that was given up."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import create_autospec

import psycopg
import pytest

from orders.eventstore.connections import TidyAsyncConnection, configure, connect
from orders.eventstore.port import StoreUnavailable
from orders.eventstore.postgres import LogDatastore
from projections.errors import ReadsUnavailable
from projections.read_pool import ReadPool


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """After a host that is not there one that says nothing; no garbage is collected meanwhile."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ".s.PGSQL.5432"))
        listening.listen(100)
        gc.collect()
        gc.disable()
        yield f"postgresql://u@/d?host={tmp_path / 'nowhere'},{tmp_path}"
        gc.enable()


def open_sockets() -> int:
    found = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # what lists them has one, too
            found += str(one.readlink()).startswith("socket:")
    return found


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts are given up at once; psycopg's own least is 2 s."""
    for where in ("psycopg.connection", "psycopg.connection_async"):
        monkeypatch.setattr(f"{where}.timeout_from_conninfo", lambda params: 0.05)
    for where in ("orders.eventstore.postgres", "projections.read_pool"):
        monkeypatch.setattr(f"{where}.CONNECT_TIMEOUT_S", 0.3)


def given_up(url: str) -> None:
    with pytest.raises(psycopg.errors.ConnectionTimeout, match="Multiple connection attempts failed"):
        connect(url, application_name="test")


def given_up_on_a_loop(url: str) -> None:
    async def attempt() -> None:
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await TidyAsyncConnection.connect(url)

    asyncio.run(attempt())


def given_up_by_the_logs_pool(url: str) -> None:
    datastore = LogDatastore(url, application_name="test", prepare=True)
    with pytest.raises(StoreUnavailable), datastore.get_connection():
        pass
    datastore.close()


def given_up_by_the_reads_pool(url: str) -> None:
    async def attempt() -> None:
        pool = ReadPool(url)
        await pool.open()
        with pytest.raises(ReadsUnavailable):
            await pool.rows("select 1")
        await pool.close()

    asyncio.run(attempt())


@pytest.mark.parametrize(
    "give_up", [given_up, given_up_on_a_loop, given_up_by_the_logs_pool, given_up_by_the_reads_pool]
)
def test_an_attempt_that_is_given_up_leaves_no_socket_open(silent: str, give_up: Callable[[str], None]) -> None:
    give_up(silent)  # what it imports and sets up for good is there
    gc.collect()
    before = open_sockets()
    give_up(silent)
    assert open_sockets() == before


def test_a_connection_that_does_not_take_its_settings_is_closed() -> None:
    connection = create_autospec(psycopg.Connection)
    connection.execute.side_effect = psycopg.OperationalError("frozen")
    with pytest.raises(psycopg.OperationalError):
        configure(connection)
    connection.close.assert_called_once_with()
