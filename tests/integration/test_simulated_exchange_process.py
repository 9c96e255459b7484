"""The exchange as a process: how it starts, refuses to start, stops, and misbehaves when told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exchange_client import submission
from tests.support.exchange_process import ExchangeProcess
from tests.support.waiting import wait_until


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    with ExchangeProcess(tmp_path / "venue") as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_a_second_with_open_connections(tmp_path: Path, number: signal.Signals) -> None:
    with ExchangeProcess(tmp_path / "venue") as exchange:
        with exchange.client() as reader, exchange.client() as client:
            reader.reports()
            client.submit("o1")
            began = time.monotonic()
            assert exchange.stop(number) == 0
            assert time.monotonic() - began < 1.0
            with pytest.raises(EOFError):
                client.receive()
        assert not Path(exchange.address).exists()
        assert "Traceback" not in exchange.stderr()
        exchange.start()
        with exchange.client() as client:
            assert client.query("o1")["outcome"] == "found"


def test_what_was_carried_out_before_it_stops_is_still_answered(exchange: ExchangeProcess) -> None:
    with exchange.client() as client:
        keys = {client.send(op="health") for _ in range(1_000)}  # more answers than a socket's buffer holds
        first = client.receive()
        os.kill(exchange.pid, signal.SIGTERM)
        assert {first["id"]} | {client.receive()["id"] for _ in range(999)} == keys
        with pytest.raises(EOFError):
            client.receive()


def start_in_vain(*arguments: str) -> tuple[int, str]:
    """The exit code and what it said, which must be one line."""
    ended = subprocess.run(
        [sys.executable, "-m", "simulated_exchange", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    [line] = ended.stderr.splitlines()
    return ended.returncode, line


def test_a_folder_has_one_exchange(exchange: ExchangeProcess) -> None:
    code, line = start_in_vain("--data-dir", str(exchange.folder), "--address", "127.0.0.1:0")
    assert code == 1
    assert line == (
        f"error: another exchange (pid {exchange.pid}) has the data folder {exchange.folder}: "
        "stop it, or choose another folder"
    )


def test_an_address_where_someone_listens_is_not_taken_over(exchange: ExchangeProcess, tmp_path: Path) -> None:
    code, line = start_in_vain("--data-dir", str(tmp_path / "other"), "--address", exchange.address)
    assert (code, "is in use" in line) == (1, True)
    with exchange.client() as client:
        assert client.call("ping")["outcome"] == "pong"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--address", address)
    assert (code, line) == (
        1,
        f"error: EXCHANGE_ADDRESS {address} is in use: stop what listens there, or set another",
    )


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("do not remove")
    code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--address", str(precious))
    assert (code, "is no socket" in line) == (1, True)
    assert precious.read_text() == "do not remove"


def test_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    code, line = start_in_vain("--data-dir", str(tmp_path / "venue"), "--fill-delay", "soon")
    assert (code, line.startswith("error: EXCHANGE_FILL_DELAY 'soon'")) == (2, True)


def test_a_socket_that_a_killed_exchange_left_is_replaced(exchange: ExchangeProcess) -> None:
    exchange.kill()
    assert Path(exchange.address).is_socket()
    exchange.start()
    with exchange.client() as client:
        assert client.call("ping")["outcome"] == "pong"


def test_the_socket_is_its_owners_alone(exchange: ExchangeProcess) -> None:
    assert Path(exchange.address).stat().st_mode & 0o777 == 0o600
    assert exchange.folder.stat().st_mode & 0o777 == 0o700


def test_an_injected_error_changes_nothing(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--error-rate", "1") as exchange, exchange.client() as client:
        assert client.submit("o1")["error"] == "unavailable"
        assert client.query("o1") == {"outcome": "not_found"}


def test_a_drop_carries_the_order_out_and_cuts_the_connection(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--drop-rate", "1") as exchange:
        with exchange.client() as client, pytest.raises((EOFError, ConnectionError)):
            client.submit("o1")
        with exchange.client() as client:
            assert client.query("o1")["state"] == "working"


def test_a_hang_never_answers_and_holds_up_nothing_else(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--hang-rate", "1") as exchange, exchange.client() as client:
        client.send(**submission("o1"))
        assert client.query("o1") == {"outcome": "not_found"}
        assert exchange.stop() == 0


def test_a_late_request_arrives_though_its_client_is_gone(tmp_path: Path) -> None:
    with ExchangeProcess(tmp_path / "venue", "--latency", "2") as exchange:
        with exchange.client() as client:
            client.send(**submission("o1"))
            assert client.query("o1") == {"outcome": "not_found"}
        with exchange.client() as client:
            wait_until(lambda: client.query("o1")["outcome"] == "found", what="the late order")
